-- Jobs that do one thing with every delivery that matches a filter.
CREATE TABLE hooktide.delivery_jobs (
    id bigint PRIMARY KEY,
    project_id bigint,                  -- NULL: of all projects
    account_id bigint,                  -- NULL: of all accounts
    act text NOT NULL,                  -- resend, retry or stop
    filter text NOT NULL,               -- JSON
    state text NOT NULL,                -- collecting, running, done or cancelled
    reason text NOT NULL,
    counted bigint NOT NULL,            -- deliveries that matched when it was asked for
    at_least integer NOT NULL,           -- 1: there may be more than that
    found bigint NOT NULL DEFAULT 0,    -- deliveries that were collected
    done bigint NOT NULL DEFAULT 0,
    left_out bigint NOT NULL DEFAULT 0,
    part bigint NOT NULL DEFAULT 0,     -- which part of the log is looked through
    looked_to bigint NOT NULL,          -- ids from this one on have been looked at
    turn bigint NOT NULL DEFAULT 0,     -- the endpoint that was served last
    ended_at bigint
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX delivery_jobs_active
    ON hooktide.delivery_jobs (coalesce(project_id, 0), coalesce(account_id, 0))
    WHERE state IN ('collecting', 'running');

-- What is left to do.
CREATE TABLE hooktide.delivery_job_items (
    job_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    subject bigint NOT NULL,            -- the delivery, or the event that is sent again
    PRIMARY KEY (job_id, endpoint_id, subject)
);
