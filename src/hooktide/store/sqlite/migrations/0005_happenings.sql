-- What is to be told of as an event of the built-in project; goes as soon as it is told.
CREATE TABLE happenings (
    key TEXT PRIMARY KEY,
    project_id INTEGER NOT NULL,
    type TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER,
    at INTEGER NOT NULL,
    about TEXT NOT NULL                 -- JSON: members of its payload
) STRICT, WITHOUT ROWID;
