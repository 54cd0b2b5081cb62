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

-- name: lock_events_to_erase
-- Nothing refers to the events anew meanwhile.
SELECT id FROM {schema}events WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR UPDATE

-- name: waiting_of_events
SELECT id, event_id FROM {schema}deliveries
WHERE event_id = ANY(:ids::bigint[]) AND state IN ('pending', 'held')

-- name: erase_payloads
UPDATE {schema}events SET payload = :erased, erased_at = :now
WHERE id = ANY(:ids::bigint[]) AND erased_at IS NULL

-- name: expired_payloads
-- Those that no other process is erasing.
SELECT event_id FROM {schema}payload_expiries WHERE erase_at <= :now
ORDER BY erase_at LIMIT :limit FOR UPDATE SKIP LOCKED

-- name: put_off_payload_expiries
UPDATE {schema}payload_expiries SET erase_at = :erase_at WHERE event_id = ANY(:ids::bigint[])

-- name: drop_payload_expiries
DELETE FROM {schema}payload_expiries WHERE event_id = ANY(:ids::bigint[])
