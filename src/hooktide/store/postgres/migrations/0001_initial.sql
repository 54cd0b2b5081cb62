-- Instants are microseconds since 1970; ids are 63-bit integers that grow with time: the
-- microsecond shifted left by 11 bits, and the number of the node that made it.

CREATE TABLE hooktide.projects (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    config text NOT NULL,               -- the whole domain.project.Project, as JSON
    version bigint NOT NULL DEFAULT 0,  -- grows with each change; who remembers compares it
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    removed_at bigint
);
CREATE UNIQUE INDEX projects_by_name ON hooktide.projects (name) WHERE removed_at IS NULL;

CREATE TABLE hooktide.accounts (
    id bigint PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES hooktide.projects (id),
    reference text NOT NULL,            -- the product's own id for this customer
    name text NOT NULL,
    plan text NOT NULL,
    version bigint NOT NULL DEFAULT 0,  -- grows when its plan or its endpoints change
    created_at bigint NOT NULL,
    removed_at bigint
);
CREATE UNIQUE INDEX accounts_by_reference ON hooktide.accounts (reference, project_id)
    WHERE removed_at IS NULL;
CREATE INDEX accounts_by_project ON hooktide.accounts (project_id, id);

CREATE TABLE hooktide.endpoints (
    id bigint PRIMARY KEY,
    project_id bigint NOT NULL REFERENCES hooktide.projects (id),
    account_id bigint NOT NULL REFERENCES hooktide.accounts (id),
    url text NOT NULL,
    event_types text NOT NULL,          -- JSON array of exact names and patterns
    name text NOT NULL,
    description text NOT NULL,
    headers bytea NOT NULL,             -- sealed: they may hold the customer's credentials
    disabled_reason text NOT NULL DEFAULT '',
    disabled_at bigint,
    failing bigint NOT NULL DEFAULT 0,  -- deliveries that failed in a row
    stale_before bigint NOT NULL DEFAULT 0, -- pending deliveries with a smaller id are discarded
    stale_reason text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    removed_at bigint
) WITH (fillfactor = 70);
CREATE INDEX endpoints_by_account ON hooktide.endpoints (account_id, id);
CREATE INDEX endpoints_by_url ON hooktide.endpoints (url) WHERE removed_at IS NULL;
CREATE INDEX endpoints_stale ON hooktide.endpoints (id) WHERE stale_before > 0;

CREATE TABLE hooktide.secrets (
    endpoint_id bigint NOT NULL REFERENCES hooktide.endpoints (id),
    created_at bigint NOT NULL,
    sealed bytea NOT NULL,
    retires_at bigint,
    PRIMARY KEY (endpoint_id, created_at)
);
CREATE INDEX secrets_retiring ON hooktide.secrets (retires_at) WHERE retires_at IS NOT NULL;

-- The log, only ever appended to, in partitions of a day by id: retention drops whole days. The
-- default partitions catch what no day was made for (a clock that leapt), so nothing is refused.
CREATE TABLE hooktide.events (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    transition text NOT NULL,
    test boolean NOT NULL,
    occurred_at bigint NOT NULL,
    deliveries integer NOT NULL,        -- how many the original fan-out made
    payload bytea NOT NULL,             -- exactly the bytes that came in
    PRIMARY KEY (id, account_id)
) PARTITION BY RANGE (id);
CREATE INDEX events_by_account ON hooktide.events (account_id, id);
CREATE INDEX events_by_project ON hooktide.events (project_id, id);
CREATE TABLE hooktide.events_default PARTITION OF hooktide.events DEFAULT;

-- Deliveries that are pending or held: small where the log is large, and each row is gone when its
-- delivery has ended. What waits is found by endpoint, what is claimed by its lease's end: a new
-- delivery is claimed from the start and on its way never touches the first of the two indexes.
CREATE TABLE hooktide.queue (
    id bigint NOT NULL,
    event_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    account_id bigint NOT NULL,
    project_id bigint NOT NULL,
    origin text NOT NULL,
    state text NOT NULL,                -- pending or held
    attempts integer NOT NULL,          -- attempts made and recorded
    due_at bigint,                      -- while pending: when it may be claimed; a lease's end if it is
    claim bigint NOT NULL,              -- the token of who holds it; 0: nobody
    reason text NOT NULL,
    PRIMARY KEY (id, account_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2);
CREATE INDEX queue_due ON hooktide.queue (endpoint_id, due_at) WHERE state = 'pending' AND claim = 0;
CREATE INDEX queue_leased ON hooktide.queue (due_at) WHERE state = 'pending' AND claim <> 0;
CREATE INDEX queue_held ON hooktide.queue (account_id, id) WHERE state = 'held';
CREATE INDEX queue_by_event ON hooktide.queue (event_id);

-- Deliveries that were delivered, failed or discarded.
CREATE TABLE hooktide.ended (
    id bigint NOT NULL,
    event_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    account_id bigint NOT NULL,
    project_id bigint NOT NULL,
    origin text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    ended_at bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (id, account_id)
) PARTITION BY RANGE (id);
CREATE INDEX ended_by_event ON hooktide.ended (event_id);
CREATE INDEX ended_by_endpoint ON hooktide.ended (endpoint_id, id);
CREATE INDEX ended_by_account ON hooktide.ended (account_id, id);
CREATE INDEX ended_by_project ON hooktide.ended (project_id, id);
CREATE TABLE hooktide.ended_default PARTITION OF hooktide.ended DEFAULT;

CREATE VIEW hooktide.deliveries AS
SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim,
    NULL::bigint AS ended_at, reason
FROM hooktide.queue
UNION ALL
SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, NULL::bigint, 0::bigint,
    ended_at, reason
FROM hooktide.ended;

CREATE TABLE hooktide.attempts (
    delivery_id bigint NOT NULL,
    number integer NOT NULL,
    account_id bigint NOT NULL,
    started_at bigint NOT NULL,
    duration bigint NOT NULL,
    status integer,
    error text NOT NULL,
    detail text NOT NULL,
    request_head bytea NOT NULL,
    response_head bytea NOT NULL,
    response_body bytea NOT NULL,
    response_truncated boolean NOT NULL,
    PRIMARY KEY (delivery_id, number, account_id)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE hooktide.attempts_default PARTITION OF hooktide.attempts DEFAULT;

CREATE TABLE hooktide.idempotency (
    project_id bigint NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    event_id bigint NOT NULL,
    deliveries integer NOT NULL,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_by_event ON hooktide.idempotency (event_id);

-- Deliveries that left within a minute, of accounts whose plan has an hourly limit.
CREATE TABLE hooktide.usage (
    account_id bigint NOT NULL,
    minute bigint NOT NULL,             -- minutes since 1970
    deliveries bigint NOT NULL,
    PRIMARY KEY (account_id, minute)
) WITH (fillfactor = 50);

CREATE TABLE hooktide.keys (
    id bigint PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,       -- SHA-256 of the key
    scope text NOT NULL,
    project_id bigint,
    account_id bigint,
    name text NOT NULL,
    last4 text NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint,
    revoked_at bigint
);

CREATE TABLE hooktide.bins (
    id bigint PRIMARY KEY,
    token text NOT NULL UNIQUE,
    project_id bigint,
    account_id bigint,
    script text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX bins_by_owner ON hooktide.bins (project_id, account_id, expires_at);

CREATE TABLE hooktide.bin_requests (
    id bigint PRIMARY KEY,
    bin_id bigint NOT NULL REFERENCES hooktide.bins (id) ON DELETE CASCADE,
    method text NOT NULL,
    path text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    body_size bigint NOT NULL,
    answered integer NOT NULL,
    received_at bigint NOT NULL,
    verdict text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX bin_requests_by_bin ON hooktide.bin_requests (bin_id, id);

-- The processes that use this database: each has a number of its own, the last bits of its ids.
CREATE TABLE hooktide.nodes (
    node integer PRIMARY KEY,
    holder text NOT NULL,
    free_at bigint NOT NULL             -- from then on another process may take it
);
