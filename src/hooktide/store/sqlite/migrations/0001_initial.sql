-- Instants are microseconds since 1970; ids are 63-bit integers that grow with time.

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    config TEXT NOT NULL,               -- the whole domain.project.Project, as JSON
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX projects_by_name ON projects (name) WHERE removed_at IS NULL;

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    reference TEXT NOT NULL,            -- the product's own id for this customer
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX accounts_by_reference ON accounts (reference, project_id) WHERE removed_at IS NULL;
CREATE INDEX accounts_by_project ON accounts (project_id, id);

CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    url TEXT NOT NULL,
    event_types TEXT NOT NULL,          -- JSON array of exact names and patterns
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    headers BLOB NOT NULL,              -- sealed: they may hold the customer's credentials
    disabled_reason TEXT NOT NULL DEFAULT '',
    disabled_at INTEGER,
    failing INTEGER NOT NULL DEFAULT 0, -- deliveries that failed in a row
    stale_before INTEGER NOT NULL DEFAULT 0, -- pending deliveries with a smaller id are discarded
    stale_reason TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;
CREATE INDEX endpoints_by_account ON endpoints (account_id, id);
CREATE INDEX endpoints_by_url ON endpoints (url) WHERE removed_at IS NULL;

CREATE TABLE secrets (
    endpoint_id INTEGER NOT NULL REFERENCES endpoints (id),
    created_at INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    retires_at INTEGER,
    PRIMARY KEY (endpoint_id, created_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_retiring ON secrets (retires_at) WHERE retires_at IS NOT NULL;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    type TEXT NOT NULL,
    transition TEXT NOT NULL,
    test INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,        -- how many the original fan-out made
    payload BLOB NOT NULL               -- exactly the bytes that came in
) STRICT;
CREATE INDEX events_by_project ON events (project_id, id);

-- Narrow, and written twice in its life: when the event is accepted, and when an attempt ends.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    project_id INTEGER NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,          -- attempts made and recorded
    due_at INTEGER,                     -- while pending: when it may be claimed; a lease's end if it is
    claim INTEGER NOT NULL,             -- the token of who holds it; 0 or negative: nobody
    ended_at INTEGER,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
-- What waits is found by endpoint, what is claimed by its lease's end. A new delivery is claimed from
-- the start, so on its way it never touches the first: an index by endpoint costs a page each time.
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at) WHERE state = 'pending' AND claim <= 0;
CREATE INDEX deliveries_leased ON deliveries (due_at) WHERE state = 'pending' AND claim > 0;
CREATE INDEX deliveries_held ON deliveries (account_id, id) WHERE state = 'held';
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX deliveries_by_project ON deliveries (project_id, id);

-- What an endpoint was sent, and what happened for an account. Filled from the tables above a moment
-- later, many rows at once: as indexes of theirs they would cost every commit a page for each
-- endpoint and account in it, a quarter of all that a delivery costs.
CREATE TABLE endpoint_log (
    endpoint_id INTEGER NOT NULL,
    delivery_id INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, delivery_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE account_log (
    account_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE logged (
    what TEXT PRIMARY KEY,
    upto INTEGER NOT NULL               -- larger ids are not in the log yet
) STRICT;
INSERT INTO logged (what, upto) VALUES ('deliveries', 0), ('events', 0);

-- Only ever appended to. The low 11 bits of a delivery's id are zero here (they are the node's, and
-- an embedded database has one), so an attempt is found by its delivery without an index.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,             -- the delivery's id + the attempt's number
    started_at INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    detail TEXT NOT NULL,
    request_head BLOB NOT NULL,
    response_head BLOB NOT NULL,
    response_body BLOB NOT NULL,
    response_truncated INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    project_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    event_id INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_event ON idempotency (event_id);

-- Deliveries that left within a minute, of accounts whose plan has an hourly limit.
CREATE TABLE usage (
    account_id INTEGER NOT NULL,
    minute INTEGER NOT NULL,            -- minutes since 1970
    deliveries INTEGER NOT NULL,
    PRIMARY KEY (account_id, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,        -- SHA-256 of the key
    scope TEXT NOT NULL,
    project_id INTEGER,
    account_id INTEGER,
    name TEXT NOT NULL,
    last4 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE bins (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    project_id INTEGER,
    account_id INTEGER,
    script TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX bins_by_owner ON bins (project_id, account_id, expires_at);

CREATE TABLE bin_requests (
    id INTEGER PRIMARY KEY,
    bin_id INTEGER NOT NULL REFERENCES bins (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    body_size INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX bin_requests_by_bin ON bin_requests (bin_id, id);
