-- Events.

-- name: events
SELECT id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload,
    channels, tags, erased_at
FROM {schema}events

-- name: lock_event
-- Locked, so that retention waits and then finds the rows that refer to the event.
SELECT id FROM {schema}events WHERE id = :id FOR KEY SHARE

-- name: lock_events
-- Those that still exist, with their payload. Locked, so that retention and erasing wait.
SELECT id FROM {schema}events WHERE id = ANY(:ids::bigint[]) AND erased_at IS NULL
ORDER BY id FOR KEY SHARE

-- name: lock_event_to_erase
-- Nothing refers to the event anew meanwhile.
SELECT id FROM {schema}events WHERE id = :id FOR UPDATE

-- name: waiting_of_event
SELECT id FROM {schema}deliveries WHERE event_id = :event_id AND state IN ('pending', 'held')

-- name: erase_payload
UPDATE {schema}events SET payload = :erased, erased_at = :now WHERE id = :id AND erased_at IS NULL
