-- One row: what is known of the clock. Retention deletes nothing by a clock that is far past it.
CREATE TABLE clock_mark (
    seen_at INTEGER NOT NULL,           -- the newest instant at which the clock was trusted
    accepted_at INTEGER NOT NULL        -- when an operator last confirmed the clock
) STRICT;
INSERT INTO clock_mark (seen_at, accepted_at) VALUES (0, 0);
