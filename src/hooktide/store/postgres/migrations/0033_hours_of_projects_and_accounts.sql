-- What lists and charts of days add up: counts by the hour of projects and accounts.
CREATE TABLE hooktide.project_hours (
    project_id bigint NOT NULL,
    hour bigint NOT NULL,                  -- hours since 1970
    accepted bigint NOT NULL,
    held bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    discarded bigint NOT NULL,
    attempts bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    PRIMARY KEY (hour, project_id)
) WITH (fillfactor = 50);
INSERT INTO hooktide.project_hours (project_id, hour, accepted, held, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT project_id, minute / 60, sum(accepted), sum(held), sum(delivered), sum(failed), sum(discarded),
    sum(attempts), sum(failed_attempts)
FROM hooktide.project_minutes GROUP BY project_id, minute / 60 ORDER BY minute / 60;

CREATE TABLE hooktide.account_hours (
    account_id bigint NOT NULL,
    hour bigint NOT NULL,
    project_id bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    discarded bigint NOT NULL,
    attempts bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    PRIMARY KEY (hour, account_id)
) WITH (fillfactor = 50);
INSERT INTO hooktide.account_hours (account_id, hour, project_id, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT account_id, hour, project_id, sum(delivered), sum(failed), sum(discarded), sum(attempts),
    sum(failed_attempts)
FROM hooktide.endpoint_hours GROUP BY account_id, hour, project_id ORDER BY hour;
