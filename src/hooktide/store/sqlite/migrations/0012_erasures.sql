-- Jobs that erase what is kept of accounts that were removed.
CREATE TABLE erasures (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    group_id INTEGER NOT NULL,          -- the account that was asked for; others had its reference before
    project_id INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    sweep INTEGER NOT NULL DEFAULT 0,   -- 1: the second time through, for what was recorded meanwhile
    erased_to INTEGER NOT NULL DEFAULT 0, -- events with ids up to this one are erased in this sweep
    events INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER
) STRICT;
CREATE INDEX erasures_by_group ON erasures (group_id);
CREATE INDEX erasures_running ON erasures (account_id) WHERE ended_at IS NULL;
