-- Jobs that make new deliveries of old events for one endpoint.
CREATE TABLE hooktide.replays (
    id bigint PRIMARY KEY,
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    what text NOT NULL,                 -- failed, missed or event
    since bigint,                       -- instants
    until bigint,
    event_id bigint,
    state text NOT NULL,                -- running, done or cancelled
    reason text NOT NULL,
    counted bigint NOT NULL,            -- events that it would send, when it was asked for
    at_least integer NOT NULL,          -- 1: there may be more than that
    made bigint NOT NULL,               -- deliveries
    looked_to bigint NOT NULL,          -- ids up to this one have been looked at
    ended_at bigint
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX replays_running ON hooktide.replays (endpoint_id) WHERE state = 'running';
CREATE INDEX replays_by_endpoint ON hooktide.replays (endpoint_id, id);
CREATE INDEX replays_by_project ON hooktide.replays (project_id, id);
