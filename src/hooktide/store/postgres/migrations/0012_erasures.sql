-- Jobs that erase what is kept of accounts that were removed.
CREATE TABLE hooktide.erasures (
    account_id bigint PRIMARY KEY REFERENCES hooktide.accounts (id),
    group_id bigint NOT NULL,           -- the account that was asked for; others had its reference before
    project_id bigint NOT NULL,
    started_at bigint NOT NULL,
    sweep bigint NOT NULL DEFAULT 0,    -- 1: the second time through, for what was recorded meanwhile
    erased_to bigint NOT NULL DEFAULT 0, -- events with ids up to this one are erased in this sweep
    events bigint NOT NULL DEFAULT 0,
    attempts bigint NOT NULL DEFAULT 0,
    ended_at bigint
);
CREATE INDEX erasures_by_group ON hooktide.erasures (group_id);
CREATE INDEX erasures_running ON hooktide.erasures (account_id) WHERE ended_at IS NULL;
