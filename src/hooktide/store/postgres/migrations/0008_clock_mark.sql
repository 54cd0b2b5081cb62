-- One row: what is known of the clock. Retention deletes nothing by a clock that is far past it.
CREATE TABLE hooktide.clock_mark (
    seen_at bigint NOT NULL,            -- the newest instant at which the clock was trusted
    accepted_at bigint NOT NULL         -- when an operator last confirmed the clock
);
INSERT INTO hooktide.clock_mark (seen_at, accepted_at) VALUES (0, 0);
-- How far each process's lease clock is from the database's clock: 0 unless that was set lately.
ALTER TABLE hooktide.nodes ADD COLUMN lease_shift bigint NOT NULL DEFAULT 0;
