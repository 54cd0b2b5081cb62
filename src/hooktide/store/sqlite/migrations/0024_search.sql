-- By what values of their payloads events are found (domain/searching/index.py).
CREATE TABLE event_terms (
    event_id INTEGER NOT NULL,
    place INTEGER NOT NULL,             -- of the path, among its project's
    start INTEGER NOT NULL,             -- the number of the word that the term begins with; 0: it is the whole value
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    term TEXT NOT NULL,
    shown TEXT NOT NULL,                -- the value for people; empty where start is not 0
    PRIMARY KEY (event_id, place, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_terms_by_project ON event_terms (project_id, term, event_id);
CREATE INDEX event_terms_by_account ON event_terms (account_id, term, event_id);

-- How far the events of a project are indexed, by the paths that it has now.
CREATE TABLE search_indexes (
    project_id INTEGER PRIMARY KEY,
    paths TEXT NOT NULL,                -- JSON array
    upto INTEGER NOT NULL,              -- larger ids are not indexed yet
    complete_from INTEGER NOT NULL,     -- from this id on, up to the other, all are
    filling INTEGER NOT NULL DEFAULT 0, -- whether older ones are being indexed
    filled INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    ended_at INTEGER
) STRICT;
