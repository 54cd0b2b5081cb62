-- Jobs that do one thing with every delivery that matches a filter.
CREATE TABLE delivery_jobs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER,                  -- NULL: of all projects
    account_id INTEGER,                  -- NULL: of all accounts
    act TEXT NOT NULL,                  -- resend, retry or stop
    filter TEXT NOT NULL,               -- JSON
    state TEXT NOT NULL,                -- collecting, running, done or cancelled
    reason TEXT NOT NULL,
    counted INTEGER NOT NULL,            -- deliveries that matched when it was asked for
    at_least INTEGER NOT NULL,           -- 1: there may be more than that
    found INTEGER NOT NULL DEFAULT 0,    -- deliveries that were collected
    done INTEGER NOT NULL DEFAULT 0,
    left_out INTEGER NOT NULL DEFAULT 0,
    part INTEGER NOT NULL DEFAULT 0,     -- which part of the log is looked through
    looked_to INTEGER NOT NULL,          -- ids from this one on have been looked at
    turn INTEGER NOT NULL DEFAULT 0,     -- the endpoint that was served last
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX delivery_jobs_active
    ON delivery_jobs (coalesce(project_id, 0), coalesce(account_id, 0))
    WHERE state IN ('collecting', 'running');

-- What is left to do.
CREATE TABLE delivery_job_items (
    job_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    subject INTEGER NOT NULL,            -- the delivery, or the event that is sent again
    PRIMARY KEY (job_id, endpoint_id, subject)
) STRICT, WITHOUT ROWID;
