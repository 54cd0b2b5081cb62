-- When the payloads are erased that are kept for less time than their events.
CREATE TABLE hooktide.payload_expiries (
    event_id bigint PRIMARY KEY,
    erase_at bigint NOT NULL
);
CREATE INDEX payload_expiries_due ON hooktide.payload_expiries (erase_at);
