-- Why attempts fail, and how long answers and deliveries take.
ALTER TABLE project_minutes ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint_hours ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoint_health ADD COLUMN last_failed_at INTEGER;
ALTER TABLE endpoint_health ADD COLUMN last_cause TEXT NOT NULL DEFAULT '';

CREATE TABLE endpoint_causes (
    endpoint_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,              -- hours since 1970
    cause TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, hour, cause)
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoint_causes_by_hour ON endpoint_causes (hour);

-- Of an endpoint, and of a project (account_id is 0).
CREATE TABLE histograms (
    subject_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,              -- hours since 1970
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    latency TEXT NOT NULL,              -- JSON: how many attempts took as long as which bucket
    delay TEXT NOT NULL,                -- the same of deliveries, from their event's acceptance on
    PRIMARY KEY (subject_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX histograms_by_account ON histograms (account_id, hour);
CREATE INDEX histograms_by_hour ON histograms (hour);
