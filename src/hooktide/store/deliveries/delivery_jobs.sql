-- Jobs on deliveries, and what they have left to do.

-- name: create_delivery_job
INSERT INTO {schema}delivery_jobs (id, project_id, account_id, act, filter, state, reason, counted, at_least,
    looked_to)
VALUES (:id, :project_id, :account_id, :act, :filter, 'collecting', '', :counted, :at_least, :id)
ON CONFLICT DO NOTHING
RETURNING id

-- name: delivery_jobs
SELECT id, project_id, account_id, act, filter, state, reason, counted, at_least, found, done,
    left_out, part, looked_to, turn, ended_at
FROM {schema}delivery_jobs

-- name: active_delivery_job
SELECT id FROM {schema}delivery_jobs
WHERE state IN ('collecting', 'running') AND coalesce(project_id, 0) = :project_id AND coalesce(account_id, 0) = :account_id

-- name: cancel_delivery_job
UPDATE {schema}delivery_jobs SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE id = :id AND state IN ('collecting', 'running')

-- name: forget_delivery_jobs
-- A filter may name a person.
UPDATE {schema}delivery_jobs SET filter = '{}', reason = CASE WHEN ended_at IS NULL THEN :reason ELSE reason END,
    state = CASE WHEN ended_at IS NULL THEN 'cancelled' ELSE state END, ended_at = coalesce(ended_at, :now)
WHERE account_id = :account_id

-- name: collected
-- Only one process at a time goes on from a place.
UPDATE {schema}delivery_jobs SET part = :part, looked_to = :looked_to, found = found + :found, state = :state
WHERE id = :id AND state = 'collecting' AND part = :old_part AND looked_to = :old_looked_to

-- name: known_job_items
SELECT endpoint_id, subject FROM {schema}delivery_job_items
WHERE job_id = :id AND endpoint_id = ANY(:endpoints::bigint[]) AND subject = ANY(:subjects::bigint[])

-- name: job_endpoints
-- The next endpoints for which something is left, without a look at all that is left.
WITH RECURSIVE next (endpoint_id) AS (
    SELECT min(endpoint_id) FROM {schema}delivery_job_items WHERE job_id = :id AND endpoint_id > :turn
    UNION ALL
    SELECT (SELECT min(endpoint_id) FROM {schema}delivery_job_items
        WHERE job_id = :id AND endpoint_id > next.endpoint_id)
    FROM next WHERE next.endpoint_id IS NOT NULL)
SELECT endpoint_id FROM next WHERE endpoint_id IS NOT NULL LIMIT :limit

-- name: lock_delivery_job
-- One process at a time continues a job; the others skip it.
SELECT id FROM {schema}delivery_jobs WHERE id = :id AND state = 'running' FOR NO KEY UPDATE SKIP LOCKED

-- name: job_items
SELECT subject FROM {schema}delivery_job_items
WHERE job_id = :id AND endpoint_id = :endpoint_id ORDER BY subject LIMIT :limit

-- name: drop_job_items
DELETE FROM {schema}delivery_job_items
WHERE job_id = :id AND endpoint_id = :endpoint_id AND subject = ANY(:subjects::bigint[])

-- name: move_delivery_job
UPDATE {schema}delivery_jobs SET done = done + :done, left_out = left_out + :left_out WHERE id = :id

-- name: turn_delivery_job
UPDATE {schema}delivery_jobs SET turn = :turn WHERE id = :id AND state = 'running' AND turn <> :turn

-- name: finish_delivery_job
UPDATE {schema}delivery_jobs SET state = 'done', ended_at = :now
WHERE id = :id AND state = 'running'
    AND NOT EXISTS (SELECT 1 FROM {schema}delivery_job_items WHERE job_id = :id)

-- name: cancelled_with_items
SELECT id FROM {schema}delivery_jobs AS j
WHERE state = 'cancelled' AND EXISTS (SELECT 1 FROM {schema}delivery_job_items WHERE job_id = j.id)

-- name: drop_some_job_items
DELETE FROM {schema}delivery_job_items
WHERE job_id = :id AND (endpoint_id, subject) IN (
    SELECT endpoint_id, subject FROM {schema}delivery_job_items WHERE job_id = :id LIMIT :limit)

-- name: drop_delivery_jobs
DELETE FROM {schema}delivery_jobs WHERE ended_at < :before
    AND NOT EXISTS (SELECT 1 FROM {schema}delivery_job_items WHERE job_id = {schema}delivery_jobs.id)
