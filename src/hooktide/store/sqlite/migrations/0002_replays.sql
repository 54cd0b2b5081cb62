-- Jobs that make new deliveries of old events for one endpoint.
CREATE TABLE replays (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    what TEXT NOT NULL,                 -- failed, missed or event
    since INTEGER,                      -- instants
    until INTEGER,
    event_id INTEGER,
    state TEXT NOT NULL,                -- running, done or cancelled
    reason TEXT NOT NULL,
    counted INTEGER NOT NULL,           -- events that it would send, when it was asked for
    at_least INTEGER NOT NULL,          -- 1: there may be more than that
    made INTEGER NOT NULL,              -- deliveries
    looked_to INTEGER NOT NULL,         -- ids up to this one have been looked at
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX replays_running ON replays (endpoint_id) WHERE state = 'running';
CREATE INDEX replays_by_endpoint ON replays (endpoint_id, id);
CREATE INDEX replays_by_project ON replays (project_id, id);
