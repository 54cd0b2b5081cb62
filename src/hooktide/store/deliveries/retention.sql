-- Deletes rows that are past their retention.

-- name: trust_clock
UPDATE {schema}clock_mark SET seen_at = :now WHERE seen_at < :now

-- name: note_clock_set_back
UPDATE {schema}clock_mark SET set_back_from = :instant WHERE set_back_from < :instant

-- name: accept_clock
UPDATE {schema}clock_mark SET seen_at = :now, accepted_at = :now

-- name: clock_mark
SELECT seen_at, accepted_at,
    greatest(coalesce((SELECT max(id) FROM {schema}events), 0), coalesce((SELECT max(id) FROM {schema}audit_log), 0)) >> 11
FROM {schema}clock_mark

-- name: drop_events
DELETE FROM {schema}events WHERE id = ANY(:ids::bigint[])

-- name: drop_keys_of_events
DELETE FROM {schema}idempotency WHERE event_id = ANY(:ids::bigint[])

-- name: drop_usage
DELETE FROM {schema}usage WHERE minute < :before
