-- The delays before an endpoint's retries, as JSON, and its timeout; NULL: those of type or plan.
ALTER TABLE hooktide.endpoints ADD COLUMN retry_delays text;
ALTER TABLE hooktide.endpoints ADD COLUMN timeout bigint;
