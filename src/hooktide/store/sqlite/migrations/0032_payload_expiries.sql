-- When the payloads are erased that are kept for less time than their events.
CREATE TABLE payload_expiries (
    event_id INTEGER PRIMARY KEY,
    erase_at INTEGER NOT NULL
);
CREATE INDEX payload_expiries_due ON payload_expiries (erase_at);
