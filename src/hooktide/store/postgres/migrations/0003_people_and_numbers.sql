-- People who log in to the dashboard, the log of changes, and what is counted for health and charts.

CREATE TABLE hooktide.people (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    folded text NOT NULL,               -- the name as it is compared
    role text NOT NULL,                 -- owner, member or viewer
    project_id bigint REFERENCES hooktide.projects (id), -- NULL: all projects
    password text NOT NULL,             -- its scrypt; empty: none yet
    created_at bigint NOT NULL,
    seen_at bigint,
    removed_at bigint
);
CREATE UNIQUE INDEX people_by_name ON hooktide.people (folded) WHERE removed_at IS NULL;

-- Links that log in once.
CREATE TABLE hooktide.login_links (
    digest bytea PRIMARY KEY,            -- SHA-256 of the token
    person_id bigint NOT NULL REFERENCES hooktide.people (id),
    expires_at bigint NOT NULL
);

-- Who is logged in: a person, or whoever has a key.
CREATE TABLE hooktide.sessions (
    digest bytea PRIMARY KEY,            -- SHA-256 of the token
    person_id bigint REFERENCES hooktide.people (id),
    key_id bigint REFERENCES hooktide.keys (id),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX sessions_by_person ON hooktide.sessions (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX sessions_by_end ON hooktide.sessions (expires_at);

-- Who changed what.
CREATE TABLE hooktide.changes (
    id bigint PRIMARY KEY,
    project_id bigint,
    account_id bigint,
    who text NOT NULL,
    what text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX changes_by_project ON hooktide.changes (project_id, id);
CREATE INDEX changes_by_account ON hooktide.changes (account_id, id);
CREATE INDEX changes_by_subject ON hooktide.changes (subject, id);

CREATE TABLE hooktide.project_minutes (
    project_id bigint NOT NULL,
    minute bigint NOT NULL,            -- minutes since 1970
    accepted bigint NOT NULL,          -- events; the others are deliveries, and their attempts
    held bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    attempts bigint NOT NULL,
    failed_attempts bigint NOT NULL,   -- of attempts
    PRIMARY KEY (minute, project_id)
) WITH (fillfactor = 50);

CREATE TABLE hooktide.endpoint_hours (
    endpoint_id bigint NOT NULL,
    hour bigint NOT NULL,              -- hours since 1970
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    attempts bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    duration bigint NOT NULL,          -- of all attempts together, in microseconds
    slowest bigint NOT NULL,
    PRIMARY KEY (endpoint_id, hour)
) WITH (fillfactor = 50);
CREATE INDEX endpoint_hours_by_hour ON hooktide.endpoint_hours (hour);

-- What was last heard of an endpoint; kept as long as the endpoint's row.
CREATE TABLE hooktide.endpoint_health (
    endpoint_id bigint PRIMARY KEY,
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    last_delivered_at bigint,
    failing_since bigint               -- the first attempt after that one that was not answered 2xx
) WITH (fillfactor = 50);
CREATE INDEX endpoint_health_failing ON hooktide.endpoint_health (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX endpoints_failing ON hooktide.endpoints (id) WHERE failing > 0;
CREATE INDEX endpoints_disabled ON hooktide.endpoints (id) WHERE disabled_reason <> '';

-- Accounts are searched for by how their reference or name begins.
CREATE INDEX accounts_reference ON hooktide.accounts (lower(reference) COLLATE "C");
CREATE INDEX accounts_name ON hooktide.accounts (lower(name) COLLATE "C");
