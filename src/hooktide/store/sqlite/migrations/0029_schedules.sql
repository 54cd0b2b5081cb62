-- The delays before an endpoint's retries, as JSON, and its timeout; NULL: those of type or plan.
ALTER TABLE endpoints ADD COLUMN retry_delays TEXT;
ALTER TABLE endpoints ADD COLUMN timeout INTEGER;
