-- Replays: events that are sent to an endpoint again.

-- name: create_replay
INSERT INTO {schema}replays (id, project_id, account_id, endpoint_id, what, since, until, event_id, state,
    reason, counted, at_least, made, looked_to)
VALUES (:id, :project_id, :account_id, :endpoint_id, :what, :since, :until, :event_id, 'running',
    '', :counted, :at_least, 0, :looked_to)
ON CONFLICT (endpoint_id) WHERE state = 'running' DO NOTHING
RETURNING id

-- name: replays
SELECT id, project_id, account_id, endpoint_id, what, since, until, event_id, state, reason,
    counted, at_least, made, looked_to, ended_at
FROM {schema}replays

-- name: running_replays
SELECT id FROM {schema}replays WHERE state = 'running' ORDER BY id

-- name: move_replay
UPDATE {schema}replays SET looked_to = :looked_to, made = made + :made, state = :state, reason = :reason,
    ended_at = :ended_at
WHERE id = :id

-- name: cancel_replay
UPDATE {schema}replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE id = :id AND state = 'running'

-- name: cancel_replays
UPDATE {schema}replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE endpoint_id = :endpoint_id AND state = 'running'

-- name: drop_replays
DELETE FROM {schema}replays WHERE project_id = :project_id AND id < :before AND state <> 'running'

-- name: lock_replay
-- One process at a time continues a replay; the others skip it.
SELECT id FROM {schema}replays WHERE id = :id AND state = 'running' FOR NO KEY UPDATE SKIP LOCKED
