-- What lists and charts of days add up: counts by the hour of projects and accounts.
CREATE TABLE project_hours (
    project_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,                  -- hours since 1970
    accepted INTEGER NOT NULL,
    held INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    discarded INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed_attempts INTEGER NOT NULL,
    PRIMARY KEY (hour, project_id)
) STRICT, WITHOUT ROWID;
INSERT INTO project_hours (project_id, hour, accepted, held, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT project_id, minute / 60, sum(accepted), sum(held), sum(delivered), sum(failed), sum(discarded),
    sum(attempts), sum(failed_attempts)
FROM project_minutes GROUP BY project_id, minute / 60 ORDER BY minute / 60;

CREATE TABLE account_hours (
    account_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    project_id INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    discarded INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed_attempts INTEGER NOT NULL,
    PRIMARY KEY (hour, account_id)
) STRICT, WITHOUT ROWID;
INSERT INTO account_hours (account_id, hour, project_id, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT account_id, hour, project_id, sum(delivered), sum(failed), sum(discarded), sum(attempts),
    sum(failed_attempts)
FROM endpoint_hours GROUP BY account_id, hour, project_id ORDER BY hour;
