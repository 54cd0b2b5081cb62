-- Why attempts fail, and how long answers and deliveries take.
ALTER TABLE hooktide.project_minutes ADD COLUMN discarded bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoint_hours ADD COLUMN discarded bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoint_health ADD COLUMN last_failed_at bigint;
ALTER TABLE hooktide.endpoint_health ADD COLUMN last_cause text NOT NULL DEFAULT '';

CREATE TABLE hooktide.endpoint_causes (
    endpoint_id bigint NOT NULL,
    hour bigint NOT NULL,              -- hours since 1970
    cause text NOT NULL,
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    attempts bigint NOT NULL,
    PRIMARY KEY (endpoint_id, hour, cause)
) WITH (fillfactor = 50);
CREATE INDEX endpoint_causes_by_hour ON hooktide.endpoint_causes (hour);

-- Of an endpoint, and of a project (account_id is 0).
CREATE TABLE hooktide.histograms (
    subject_id bigint NOT NULL,
    hour bigint NOT NULL,              -- hours since 1970
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    latency text NOT NULL,              -- JSON: how many attempts took as long as which bucket
    delay text NOT NULL,                -- the same of deliveries, from their event's acceptance on
    PRIMARY KEY (subject_id, hour)
) WITH (fillfactor = 50);
CREATE INDEX histograms_by_account ON hooktide.histograms (account_id, hour);
CREATE INDEX histograms_by_hour ON hooktide.histograms (hour);
