-- When an event's payload was erased; NULL: it was not.
ALTER TABLE events ADD COLUMN erased_at INTEGER;
