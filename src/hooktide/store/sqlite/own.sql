-- Statements that only SQLite needs: separate logs for the lists of an endpoint and of an account.

-- name: add_keys
INSERT INTO idempotency (project_id, key, digest, event_id, deliveries)
SELECT column1, column2, column3, column4, column5 FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: stale_endpoints
SELECT id, account_id, stale_before, stale_reason FROM endpoints WHERE stale_before > 0

-- name: stale_and_out
SELECT EXISTS (
    SELECT 1 FROM deliveries INDEXED BY deliveries_leased
    WHERE state = 'pending' AND claim > 0 AND endpoint_id = :endpoint_id AND id < :before)

-- name: rests
-- The stored rests of endpoints.
SELECT id, rests_until, rest_reason, rest_began_at, rest_span, rest_lifted_at FROM endpoints
WHERE rests_until > 0 OR rest_lifted_at > 0

-- name: unsettled
-- Of these (delivery, token) pairs, those whose claim was lost.
SELECT json_group_array(wanted.value ->> 0)
FROM json_each(:claims) AS wanted
LEFT JOIN deliveries AS d ON d.id = wanted.value ->> 0 AND d.claim = -(wanted.value ->> 1)
WHERE d.id IS NULL

-- name: settled_as_discarded
SELECT endpoint_id, account_id, project_id FROM deliveries
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'discarded'

-- name: log_deliveries
INSERT INTO endpoint_log (endpoint_id, delivery_id)
SELECT endpoint_id, id FROM deliveries WHERE id > :after AND id <= :upto ORDER BY endpoint_id, id

-- name: log_events
INSERT INTO account_log (account_id, event_id)
SELECT account_id, id FROM events WHERE id > :after AND id <= :upto ORDER BY account_id, id

-- name: next_deliveries
SELECT max(id), count(*) FROM (SELECT id FROM deliveries WHERE id > :after ORDER BY id LIMIT :limit)

-- name: next_events
SELECT max(id), count(*) FROM (SELECT id FROM events WHERE id > :after ORDER BY id LIMIT :limit)

-- name: logged
SELECT upto FROM logged WHERE what = :what

-- name: set_logged
UPDATE logged SET upto = :upto WHERE what = :what

-- name: drop_endpoint_log_of_events
DELETE FROM endpoint_log WHERE (endpoint_id, delivery_id) IN (
    SELECT endpoint_id, id FROM deliveries WHERE event_id IN (SELECT value FROM json_each(:ids)))

-- name: drop_account_log_of_events
DELETE FROM account_log WHERE (account_id, event_id) IN (
    SELECT account_id, id FROM events WHERE id IN (SELECT value FROM json_each(:ids)))

-- name: last_id
SELECT max(coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM deliveries), 0),
    coalesce((SELECT max(id) FROM endpoints), 0), coalesce((SELECT max(stale_before) FROM endpoints), 0),
    coalesce((SELECT max(id) FROM accounts), 0), coalesce((SELECT max(id) FROM projects), 0),
    coalesce((SELECT max(id) FROM keys), 0), coalesce((SELECT max(id) FROM bins), 0),
    coalesce((SELECT max(id) FROM bin_requests), 0), coalesce((SELECT max(id) FROM replays), 0),
    coalesce((SELECT max(id) FROM people), 0), coalesce((SELECT max(id) FROM audit_log), 0))

-- name: inside
-- Distinguishes one state of a database from another.
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM deliveries)

-- name: try_writing
-- A table that exists only while the disk is almost full, and is dropped afterwards.
CREATE TABLE IF NOT EXISTS write_probe (filler BLOB NOT NULL)

-- name: try_writing_bytes
INSERT INTO write_probe (filler) VALUES (zeroblob(:bytes))

-- name: tried_writing
DROP TABLE IF EXISTS write_probe
