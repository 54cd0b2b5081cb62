-- People who log in to the dashboard, the log of changes, and what is counted for health and charts.

CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,               -- the name as it is compared
    role TEXT NOT NULL,                 -- owner, member or viewer
    project_id INTEGER REFERENCES projects (id), -- NULL: all projects
    password TEXT NOT NULL,             -- its scrypt; empty: none yet
    created_at INTEGER NOT NULL,
    seen_at INTEGER,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX people_by_name ON people (folded) WHERE removed_at IS NULL;

-- Links that log in once.
CREATE TABLE login_links (
    digest BLOB PRIMARY KEY,            -- SHA-256 of the token
    person_id INTEGER NOT NULL REFERENCES people (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is logged in: a person, or whoever has a key.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,            -- SHA-256 of the token
    person_id INTEGER REFERENCES people (id),
    key_id INTEGER REFERENCES keys (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_person ON sessions (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Who changed what.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    project_id INTEGER,
    account_id INTEGER,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX changes_by_project ON changes (project_id, id);
CREATE INDEX changes_by_account ON changes (account_id, id);
CREATE INDEX changes_by_subject ON changes (subject, id);

CREATE TABLE project_minutes (
    project_id INTEGER NOT NULL,
    minute INTEGER NOT NULL,            -- minutes since 1970
    accepted INTEGER NOT NULL,          -- events; the others are deliveries, and their attempts
    held INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed_attempts INTEGER NOT NULL,   -- of attempts
    PRIMARY KEY (minute, project_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint_hours (
    endpoint_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,              -- hours since 1970
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed_attempts INTEGER NOT NULL,
    duration INTEGER NOT NULL,          -- of all attempts together, in microseconds
    slowest INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoint_hours_by_hour ON endpoint_hours (hour);

-- What was last heard of an endpoint; kept as long as the endpoint's row.
CREATE TABLE endpoint_health (
    endpoint_id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    last_delivered_at INTEGER,
    failing_since INTEGER               -- the first attempt after that one that was not answered 2xx
) STRICT;
CREATE INDEX endpoint_health_failing ON endpoint_health (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX endpoints_failing ON endpoints (id) WHERE failing > 0;
CREATE INDEX endpoints_disabled ON endpoints (id) WHERE disabled_reason <> '';

-- Accounts are searched for by how their reference or name begins.
CREATE INDEX accounts_reference ON accounts (reference COLLATE NOCASE);
CREATE INDEX accounts_name ON accounts (name COLLATE NOCASE);
