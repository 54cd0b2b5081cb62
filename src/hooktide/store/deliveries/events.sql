-- Events.

-- name: events
SELECT id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload,
    channels, tags
FROM {schema}events

-- name: lock_event
-- Locked, so that retention waits and then finds the rows that refer to the event.
SELECT id FROM {schema}events WHERE id = :id FOR KEY SHARE

-- name: lock_events
-- Those that still exist. Locked, so that retention waits.
SELECT id FROM {schema}events WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR KEY SHARE
