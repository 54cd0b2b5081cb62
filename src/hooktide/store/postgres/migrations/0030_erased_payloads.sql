-- When an event's payload was erased; NULL: it was not.
ALTER TABLE hooktide.events ADD COLUMN erased_at bigint;
