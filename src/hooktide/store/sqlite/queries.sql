-- The statements of the SQLite store, in the order of an event's life. ":rows" stands for as many
-- rows of placeholders as a batch needs; padding rows are NULL in their first column.

-- name: known_keys
-- Which of these idempotency keys were used before, and for what.
SELECT json_group_array(json_array(i.project_id, i.key, hex(i.digest), i.event_id, i.deliveries))
FROM json_each(:keys) AS wanted
JOIN idempotency AS i ON i.project_id = wanted.value ->> 0 AND i.key = wanted.value ->> 1

-- name: add_events
INSERT INTO events (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload,
    channels, tags)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10,
    column11
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: add_deliveries
INSERT INTO deliveries
    (id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim, reason)
SELECT column1, column2, column3, column4, column5, column6, column7, 0, column8, column9, column10
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: claimable
-- The oldest due deliveries of each wanted endpoint, with their events, as one JSON value: each row
-- that a statement returns costs a switch of the interpreter lock. Reads only as far as it claims:
-- the index leads to an endpoint's first due delivery, however many there are. For an endpoint that
-- rests, only deliveries that ignore rests are claimed.
SELECT json_group_array(json_array(
    d.id, d.endpoint_id, d.attempts, d.origin, d.due_at,
    e.id, e.account_id, e.type, e.transition, e.test, e.occurred_at, CAST(e.payload AS TEXT)))
FROM json_each(:endpoints) AS wanted
JOIN endpoints AS ep ON ep.id = wanted.value AND ep.disabled_reason = '' AND ep.removed_at IS NULL
JOIN deliveries AS d ON d.id IN (
    SELECT id FROM (
        SELECT id FROM deliveries INDEXED BY deliveries_due
        WHERE endpoint_id = wanted.value AND state = 'pending' AND claim <= 0 AND due_at <= :now
            AND id >= ep.stale_before AND ep.rests_until <= :now
        ORDER BY due_at LIMIT :each)
    UNION ALL
    SELECT id FROM (
        SELECT id FROM deliveries INDEXED BY deliveries_resent
        WHERE endpoint_id = wanted.value AND state = 'pending' AND claim <= 0 AND due_at <= :now
            AND origin = 'resend' AND attempts = 0
            AND id >= ep.stale_before AND ep.rests_until > :now
        ORDER BY due_at LIMIT :each))
JOIN events AS e ON e.id = d.event_id

-- name: claim
-- The lease is the due time: a claimed delivery is due again when its lease ends, so a worker that
-- dies releases its deliveries by doing nothing.
UPDATE deliveries SET claim = :token, due_at = :lease_ends_at
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: next_due
-- When the first delivery of each endpoint may be claimed: not before the end of a rest, unless it
-- ignores rests.
SELECT json_group_array(json_array(ep.id, max((
    SELECT due_at FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim <= 0 AND id >= ep.stale_before
    ORDER BY due_at LIMIT 1), CASE WHEN EXISTS (
        SELECT 1 FROM deliveries INDEXED BY deliveries_resent
        WHERE endpoint_id = ep.id AND state = 'pending' AND claim <= 0 AND origin = 'resend'
            AND attempts = 0 AND id >= ep.stale_before)
    THEN 0 ELSE ep.rests_until END)))
FROM json_each(:endpoints) AS wanted
JOIN endpoints AS ep ON ep.id = wanted.value AND ep.disabled_reason = '' AND ep.removed_at IS NULL

-- name: due_heads
-- Hops from endpoint to endpoint along the index; never reads a backlog.
WITH RECURSIVE heads (endpoint_id) AS (
    SELECT min(endpoint_id) FROM deliveries INDEXED BY deliveries_due
    WHERE state = 'pending' AND claim <= 0
    UNION ALL
    SELECT (SELECT min(d.endpoint_id) FROM deliveries AS d INDEXED BY deliveries_due
            WHERE d.state = 'pending' AND d.claim <= 0 AND d.endpoint_id > heads.endpoint_id)
    FROM heads WHERE heads.endpoint_id IS NOT NULL)
SELECT json_group_array(json_array(endpoint_id, max((
    SELECT due_at FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = heads.endpoint_id AND state = 'pending' AND claim <= 0
    ORDER BY due_at LIMIT 1), CASE WHEN EXISTS (
        SELECT 1 FROM deliveries INDEXED BY deliveries_resent
        WHERE endpoint_id = heads.endpoint_id AND state = 'pending' AND claim <= 0
            AND origin = 'resend' AND attempts = 0)
    THEN 0 ELSE coalesce((SELECT rests_until FROM endpoints WHERE id = heads.endpoint_id), 0) END)))
FROM heads WHERE endpoint_id IS NOT NULL

-- name: release_expired_claims
-- Claims whose lease has ended: their holder is gone, or will find its token outdated.
UPDATE deliveries SET claim = 0, due_at = :now
WHERE id IN (
    SELECT id FROM deliveries INDEXED BY deliveries_leased
    WHERE state = 'pending' AND claim > 0 AND due_at <= :ended ORDER BY due_at LIMIT :limit)
RETURNING endpoint_id

-- name: release_claims
-- They keep their places before newer deliveries.
UPDATE deliveries SET claim = 0, due_at = min(:now, held.value ->> 2)
FROM json_each(:claims) AS held
WHERE deliveries.id = held.value ->> 0 AND claim = held.value ->> 1 AND state = 'pending'

-- name: settle
-- Fenced: only the holder of the claim updates the delivery. The negated token remains, to
-- distinguish updated deliveries from the others.
UPDATE deliveries SET state = v.column3, attempts = v.column4, due_at = v.column5,
    ended_at = v.column6, reason = v.column7, claim = -v.column2
FROM (VALUES :rows) AS v
WHERE deliveries.id = v.column1 AND deliveries.claim = v.column2

-- name: settle_late
-- The lease was lost, but the receiver answered 2xx, which is final: no matter which worker holds the claim
-- now, or whether someone stopped the delivery or erased its payload while the attempt was in flight.
UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, due_at = NULL, ended_at = :ended_at,
    reason = '', claim = 0
WHERE id = :id AND (state IN ('pending', 'failed') OR state = 'discarded' AND reason IN ('stopped by hand', 'payload erased'))
RETURNING attempts

-- name: add_attempts
INSERT INTO attempts (id, started_at, duration, status, error, detail, request_head,
    response_head, response_body, response_truncated)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: failing_endpoints
SELECT id, failing FROM endpoints WHERE failing > 0

-- name: resting
SELECT id, rests_until FROM endpoints INDEXED BY endpoints_resting
WHERE rests_until > :now AND rests_until > 0 AND disabled_reason = '' AND removed_at IS NULL

-- name: set_failing
UPDATE endpoints SET failing = :failing WHERE id = :id

-- name: enable_endpoint
UPDATE endpoints SET disabled_reason = '', disabled_at = NULL, failing = 0, changed_at = :now
WHERE id = :id AND disabled_reason <> '' AND removed_at IS NULL

-- name: stale
-- Pending deliveries from before their endpoint was disabled or deleted that are not in flight.
SELECT id FROM deliveries INDEXED BY deliveries_due
WHERE endpoint_id = :endpoint_id AND state = 'pending' AND claim <= 0 AND id < :before
LIMIT :limit

-- name: stale_held
SELECT id FROM deliveries INDEXED BY deliveries_held
WHERE account_id = :account_id AND state = 'held' AND endpoint_id = :endpoint_id AND id < :before
LIMIT :limit

-- name: discard
UPDATE deliveries SET state = 'discarded', due_at = NULL, claim = 0, ended_at = :now, reason = :reason
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('pending', 'held')
RETURNING endpoint_id, account_id, project_id

-- name: usage_window
SELECT minute, deliveries FROM usage WHERE account_id = :account_id AND minute >= :since

-- name: set_usage
INSERT INTO usage (account_id, minute, deliveries)
SELECT column1, column2, column3 FROM (VALUES :rows) WHERE column1 IS NOT NULL
ON CONFLICT (account_id, minute) DO UPDATE SET deliveries = excluded.deliveries

-- name: held_accounts
SELECT DISTINCT account_id FROM deliveries INDEXED BY deliveries_held WHERE state = 'held'

-- name: held_of_account
SELECT id, endpoint_id FROM deliveries INDEXED BY deliveries_held
WHERE account_id = :account_id AND state = 'held' ORDER BY id LIMIT :limit

-- name: unhold
UPDATE deliveries SET state = 'pending', due_at = :now, reason = ''
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'held'

-- name: backlog
-- What waits for enabled endpoints: the totals, then the endpoints with the largest backlogs. Deliveries
-- from before an endpoint was disabled no longer count, although they are discarded gradually.
WITH counted AS MATERIALIZED (
    SELECT c.endpoint_id, ep.account_id, ep.project_id, ep.stale_before, c.waiting, c.retries, c.held
    FROM waiting_counts AS c JOIN endpoints AS ep
        ON ep.id = c.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
    WHERE c.project_id = coalesce(:project_id, c.project_id)
        AND c.account_id = coalesce(:account_id, c.account_id)
        AND c.endpoint_id = coalesce(:endpoint_id, c.endpoint_id)),
live AS MATERIALIZED (
    SELECT endpoint_id, account_id, project_id, waiting - (
            SELECT count(*) FROM deliveries AS d INDEXED BY deliveries_waiting
            WHERE d.endpoint_id = counted.endpoint_id AND d.state = 'pending' AND d.claim <= 0
                AND d.id < counted.stale_before) AS waiting,
        retries - (
            SELECT count(*) FROM deliveries AS d INDEXED BY deliveries_waiting
            WHERE d.endpoint_id = counted.endpoint_id AND d.state = 'pending' AND d.claim <= 0
                AND d.id < counted.stale_before AND d.attempts > 0) AS retries,
        held - (
            SELECT count(*) FROM deliveries AS d INDEXED BY deliveries_held
            WHERE counted.held > 0 AND d.account_id = counted.account_id AND d.state = 'held'
                AND d.id < counted.stale_before AND d.endpoint_id = counted.endpoint_id) AS held
    FROM counted)
SELECT NULL, NULL, NULL, coalesce(sum(waiting), 0), coalesce(sum(retries), 0), coalesce(sum(held), 0),
    count(*) FILTER (WHERE waiting > 0), (
        SELECT count(*) FROM deliveries AS c INDEXED BY deliveries_leased
        WHERE c.state = 'pending' AND c.claim > 0
            AND c.project_id = coalesce(:project_id, c.project_id)
            AND c.account_id = coalesce(:account_id, c.account_id)
            AND c.endpoint_id = coalesce(:endpoint_id, c.endpoint_id))
FROM live
UNION ALL
SELECT * FROM (
    SELECT endpoint_id, account_id, project_id, waiting, retries, held, 1, 0
    FROM live WHERE waiting > 0 OR held > 0
    ORDER BY waiting DESC, held DESC, endpoint_id LIMIT :limit)

-- name: oldest_waiting
-- For each endpoint with a backlog, the indexes give the oldest delivery and the one due first.
SELECT min((
    SELECT d.id FROM deliveries AS d INDEXED BY deliveries_waiting
    WHERE d.endpoint_id = ep.id AND d.state = 'pending' AND d.claim <= 0 AND d.id >= ep.stale_before
    ORDER BY d.id LIMIT 1)), min(max(ep.rests_until, (
    SELECT d.due_at FROM deliveries AS d INDEXED BY deliveries_due
    WHERE d.endpoint_id = ep.id AND d.state = 'pending' AND d.claim <= 0 AND d.id >= ep.stale_before
    ORDER BY d.due_at LIMIT 1)))
FROM waiting_counts AS c JOIN endpoints AS ep
    ON ep.id = c.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
WHERE c.waiting > 0 AND c.project_id = coalesce(:project_id, c.project_id)
    AND c.account_id = coalesce(:account_id, c.account_id)
    AND c.endpoint_id = coalesce(:endpoint_id, c.endpoint_id)

-- name: refused_count
-- SQLite has no outbox.
SELECT 0

-- name: routes_of_account
-- Everything that fan-out needs to know about an account, in one value.
SELECT a.project_id, a.plan, p.config, (
    SELECT json_group_array(json_array(e.id, json(e.event_types), e.filter, json(e.channels))) FROM endpoints AS e
    WHERE e.account_id = a.id AND e.disabled_reason = '' AND e.removed_at IS NULL)
FROM accounts AS a JOIN projects AS p ON p.id = a.project_id WHERE a.id = :id AND a.removed_at IS NULL

-- name: types_wanted
SELECT wanted.value, count(DISTINCT endpoints.id)
FROM endpoints, json_each(endpoints.event_types) AS wanted
WHERE project_id = :project_id AND removed_at IS NULL
  AND wanted.value IN (SELECT value FROM json_each(:types))
GROUP BY wanted.value

-- name: search_accounts
SELECT id, project_id, reference, name, plan, created_at, link_generation, metadata, rate_limit, burst FROM accounts
WHERE (reference >= :low COLLATE NOCASE AND reference < :high COLLATE NOCASE
        OR name >= :low COLLATE NOCASE AND name < :high COLLATE NOCASE)
    AND removed_at IS NULL AND project_id = coalesce(:project_id, project_id)
    AND id = coalesce(:account_id, id)
ORDER BY reference, id LIMIT :limit

-- name: events_of
SELECT e.id, e.project_id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.deliveries,
    e.payload, e.channels, e.tags, e.erased_at
FROM json_each(:ids) AS wanted JOIN events AS e ON e.id = wanted.value
WHERE e.project_id = coalesce(:project_id, e.project_id)
    AND e.account_id = coalesce(:account_id, e.account_id)

-- name: attempts
SELECT id - :delivery_id, started_at, duration, status, error, detail, request_head, response_head,
    response_body, response_truncated
FROM attempts WHERE id > :delivery_id AND id <= :delivery_id + 2047 ORDER BY id

-- name: last_attempts
-- The newest attempt of each of these deliveries.
SELECT d.id, a.id - d.id, a.started_at, a.duration, a.status, a.error, a.detail, a.request_head,
    a.response_head, a.response_body, a.response_truncated
FROM json_each(:ids) AS wanted JOIN deliveries AS d ON d.id = wanted.value
JOIN attempts AS a ON a.id = (SELECT max(id) FROM attempts WHERE id > d.id AND id <= d.id + 2047)
WHERE d.project_id = coalesce(:project_id, d.project_id)
    AND d.account_id = coalesce(:account_id, d.account_id)

-- name: old_events
-- Events past their retention without pending or held deliveries.
SELECT id FROM events AS e WHERE project_id = :project_id AND id < :before AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d WHERE d.event_id = e.id AND d.state IN ('pending', 'held'))
ORDER BY id LIMIT :limit

-- name: waiting_after
-- Unclaimed deliveries that are not due yet, with the last attempt of each: one page, in index
-- order.
SELECT d.endpoint_id, d.due_at, d.id, d.account_id, d.attempts, coalesce(a.started_at, 0),
    coalesce(a.response_head, x'')
FROM deliveries AS d INDEXED BY deliveries_due
LEFT JOIN attempts AS a ON a.id = d.id + d.attempts AND d.attempts > 0
WHERE d.state = 'pending' AND d.claim <= 0 AND (d.endpoint_id, d.due_at, d.id) > (:endpoint_id, :due_at, :id)
    AND d.due_at > :instant
ORDER BY d.endpoint_id, d.due_at, d.id LIMIT :limit

-- name: hurry
-- Makes deliveries due now that someone asked to send early.
UPDATE deliveries SET due_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'pending' AND claim <= 0 AND due_at > :now
RETURNING id

-- name: unclaimed
SELECT id FROM deliveries
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'pending' AND claim <= 0

-- name: stop
UPDATE deliveries SET state = 'discarded', due_at = NULL, claim = 0, ended_at = :now, reason = :reason
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('pending', 'held')
RETURNING endpoint_id, account_id, project_id, id

-- name: redate
UPDATE deliveries SET due_at = v.value ->> 2
FROM json_each(:due) AS v
WHERE deliveries.id = v.value ->> 0 AND due_at = v.value ->> 1 AND state = 'pending' AND claim <= 0
RETURNING endpoint_id, due_at

-- name: drop_attempts_of_events
DELETE FROM attempts WHERE id IN (
    SELECT a.id FROM deliveries AS d JOIN attempts AS a ON a.id > d.id AND a.id <= d.id + 2047
    WHERE d.event_id IN (SELECT value FROM json_each(:ids)))

-- name: drop_deliveries_of_events
DELETE FROM deliveries WHERE event_id IN (SELECT value FROM json_each(:ids))

-- name: looked_failed
-- The next deliveries of an endpoint, each with its event and whether a replay of failed deliveries
-- should send it: not if it was delivered, is pending, or was already sent by this replay.
WITH looked (id) AS MATERIALIZED (
    SELECT id FROM (
        SELECT delivery_id AS id FROM endpoint_log
        WHERE endpoint_id = :endpoint_id AND delivery_id > :after AND delivery_id <= :upto
        ORDER BY delivery_id LIMIT :look)
    UNION ALL
    SELECT id FROM deliveries
    WHERE id > max(:after, (SELECT upto FROM logged WHERE what = 'deliveries')) AND id <= :upto
        AND endpoint_id = :endpoint_id
    ORDER BY id LIMIT :look)
SELECT looked.id, d.event_id, e.type, d.state = 'failed' AND d.origin <> 'test' AND NOT EXISTS (
    SELECT 1 FROM deliveries AS x WHERE x.event_id = d.event_id AND x.endpoint_id = :endpoint_id
        AND (x.state IN ('pending', 'held', 'delivered') OR x.origin = 'replay' AND x.id > :replay_id))
FROM looked JOIN deliveries AS d ON d.id = looked.id JOIN events AS e ON e.id = d.event_id
ORDER BY looked.id

-- name: looked_missed
-- The next events of an account, and whether a replay of missed events should send each: not tests,
-- nor events that were ever sent to the endpoint.
WITH looked (id) AS MATERIALIZED (
    SELECT id FROM (
        SELECT event_id AS id FROM account_log
        WHERE account_id = :account_id AND event_id > :after AND event_id <= :upto
        ORDER BY event_id LIMIT :look)
    UNION ALL
    SELECT id FROM events
    WHERE id > max(:after, (SELECT upto FROM logged WHERE what = 'events')) AND id <= :upto
        AND account_id = :account_id
    ORDER BY id LIMIT :look)
SELECT e.id, e.id, e.type, NOT EXISTS (
    SELECT 1 FROM deliveries AS x WHERE x.event_id = e.id AND (x.origin = 'test'
        OR x.endpoint_id = :endpoint_id
            AND (x.state <> 'discarded' OR x.origin = 'replay' AND x.id > :replay_id))), e.channels
FROM looked JOIN events AS e ON e.id = looked.id
ORDER BY e.id

-- name: replay_backlog
SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = :endpoint_id AND state = 'pending' AND claim <= 0 AND due_at <= :now
    LIMIT :limit)

-- name: add_job_items
INSERT INTO delivery_job_items (job_id, endpoint_id, subject)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:rows) WHERE TRUE

-- name: add_payload_expiries
INSERT INTO payload_expiries (event_id, erase_at)
SELECT value ->> 0, value ->> 1 FROM json_each(:rows) WHERE TRUE

-- name: add_minutes
INSERT INTO project_minutes (project_id, minute, accepted, held, delivered, failed, discarded,
    attempts, failed_attempts)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (minute, project_id) DO UPDATE SET accepted = accepted + excluded.accepted,
    held = held + excluded.held, delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, discarded = discarded + excluded.discarded,
    attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts

-- name: add_project_hours
INSERT INTO project_hours (project_id, hour, accepted, held, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (hour, project_id) DO UPDATE SET accepted = accepted + excluded.accepted,
    held = held + excluded.held, delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, discarded = discarded + excluded.discarded,
    attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts

-- name: add_account_hours
INSERT INTO account_hours (account_id, hour, project_id, delivered, failed, discarded, attempts,
    failed_attempts)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (hour, account_id) DO UPDATE SET delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, discarded = discarded + excluded.discarded,
    attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts

-- name: add_hours
INSERT INTO endpoint_hours (endpoint_id, hour, project_id, account_id, delivered, failed, discarded,
    attempts, failed_attempts, duration, slowest)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (endpoint_id, hour) DO UPDATE SET delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, discarded = discarded + excluded.discarded,
    attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts,
    duration = duration + excluded.duration, slowest = max(slowest, excluded.slowest)

-- name: add_health
-- Rows may arrive in any order: the first failure after the last success counts.
INSERT INTO endpoint_health AS h (endpoint_id, project_id, account_id, last_delivered_at, failing_since,
    last_failed_at, last_cause)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (endpoint_id) DO UPDATE SET
    last_delivered_at = nullif(
        max(coalesce(h.last_delivered_at, 0), coalesce(excluded.last_delivered_at, 0)), 0),
    failing_since = nullif(min(
        CASE WHEN h.failing_since > coalesce(h.last_delivered_at, 0)
            AND h.failing_since > coalesce(excluded.last_delivered_at, 0)
            THEN h.failing_since ELSE 9223372036854775807 END,
        CASE WHEN excluded.failing_since > coalesce(h.last_delivered_at, 0)
            AND excluded.failing_since > coalesce(excluded.last_delivered_at, 0)
            THEN excluded.failing_since ELSE 9223372036854775807 END), 9223372036854775807),
    last_cause = CASE WHEN excluded.last_failed_at >= coalesce(h.last_failed_at, 0)
        THEN excluded.last_cause ELSE h.last_cause END,
    last_failed_at = nullif(max(coalesce(h.last_failed_at, 0), coalesce(excluded.last_failed_at, 0)), 0)

-- name: add_causes
INSERT INTO endpoint_causes (endpoint_id, hour, cause, project_id, account_id, attempts)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (endpoint_id, hour, cause) DO UPDATE SET attempts = attempts + excluded.attempts

-- name: set_histograms
INSERT INTO histograms (subject_id, hour, project_id, account_id, latency, delay)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (subject_id, hour) DO UPDATE SET latency = excluded.latency, delay = excluded.delay

-- name: drop_key_reports
-- Only one process can have the file open, so other reports are from killed processes.
DELETE FROM key_reports WHERE process <> :process

-- name: erase_emitted
-- SQLite has no outbox.
SELECT NULL WHERE FALSE

-- name: events_to_erase
SELECT event_id FROM account_log WHERE account_id = :account_id AND event_id > :after
ORDER BY event_id LIMIT :limit

-- name: erase_attempts
UPDATE attempts SET request_head = x'', response_head = x'', response_body = x'', detail = ''
WHERE id IN (
    SELECT a.id FROM deliveries AS d JOIN attempts AS a ON a.id > d.id AND a.id <= d.id + 2047
    WHERE d.event_id IN (SELECT value FROM json_each(:ids)))
AND (request_head <> x'' OR response_head <> x'' OR response_body <> x'' OR detail <> '') RETURNING id

-- name: unsettled_erasure
-- Whether deliveries of the account may still be recorded, or are not in its log yet.
SELECT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.state = 'pending' AND d.claim <= 0 AND d.endpoint_id IN (SELECT id FROM endpoints WHERE account_id = :account_id))
    OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.state = 'pending' AND d.claim > 0 AND d.account_id = :account_id)
    OR EXISTS (SELECT 1 FROM deliveries AS d WHERE d.state = 'held' AND d.account_id = :account_id)
    OR EXISTS (SELECT 1 FROM events AS e WHERE e.account_id = :account_id
        AND e.id > (SELECT upto FROM logged WHERE what = 'events'))

-- name: deliveries_of_endpoint
-- An endpoint's newest deliveries in the log, and those too new to be in it.
d.id IN (
    SELECT id FROM (
        SELECT n.id FROM endpoint_log AS l CROSS JOIN deliveries AS n ON n.id = l.delivery_id
        WHERE l.endpoint_id = :endpoint_id AND l.delivery_id > :above AND l.delivery_id < :below
            AND n.state = coalesce(:state, n.state)
        ORDER BY l.delivery_id DESC LIMIT :limit)
    UNION ALL
    SELECT id FROM deliveries
    WHERE id > (SELECT upto FROM logged WHERE what = 'deliveries') AND endpoint_id = :endpoint_id)

-- name: deliveries_of_account
-- An account's newest deliveries are among the newest few of each of its endpoints.
d.id IN (
    SELECT n.id FROM endpoints AS ep CROSS JOIN deliveries AS n ON n.id IN (
        SELECT l.delivery_id FROM endpoint_log AS l CROSS JOIN deliveries AS x ON x.id = l.delivery_id
        WHERE l.endpoint_id = ep.id AND l.delivery_id > :above AND l.delivery_id < :below
            AND x.state = coalesce(:state, x.state)
        ORDER BY l.delivery_id DESC LIMIT :limit)
    WHERE ep.account_id = :scope_account
    UNION ALL
    SELECT id FROM deliveries
    WHERE id > (SELECT upto FROM logged WHERE what = 'deliveries') AND account_id = :scope_account)

-- name: has_tag
tags <> '' AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag)

-- name: has_channel
channels <> '' AND EXISTS (SELECT 1 FROM json_each(channels) WHERE value = :channel)

-- name: has_metadata
metadata <> '' AND EXISTS (
    SELECT 1 FROM json_each(metadata) WHERE key = :metadata_name AND value = :metadata_value)

-- name: events_of_account
id IN (
    SELECT id FROM (
        SELECT n.id FROM account_log AS l CROSS JOIN events AS n ON n.id = l.event_id
        WHERE l.account_id = :scope_account AND l.event_id > :above AND l.event_id < :below
            AND n.type = coalesce(:type, n.type)
            AND (:tag IS NULL OR n.tags <> '' AND EXISTS (
                SELECT 1 FROM json_each(n.tags) WHERE value = :tag))
            AND (:channel IS NULL OR n.channels <> '' AND EXISTS (
                SELECT 1 FROM json_each(n.channels) WHERE value = :channel))
        ORDER BY l.event_id DESC LIMIT :limit)
    UNION ALL
    SELECT id FROM events
    WHERE id > (SELECT upto FROM logged WHERE what = 'events') AND account_id = :scope_account)

-- name: add_terms
INSERT INTO event_terms (event_id, place, start, project_id, account_id, term, shown)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each(:rows) WHERE TRUE
ON CONFLICT DO NOTHING

-- name: events_of_terms_of_project
-- The newest events with one of these terms. For each term, an index gives its newest events.
SELECT DISTINCT found.value FROM json_each(:terms) AS wanted, json_each((
    SELECT json_group_array(event_id) FROM (
        SELECT DISTINCT t.event_id FROM event_terms AS t INDEXED BY event_terms_by_project
        WHERE t.project_id = :owner AND t.term = wanted.value AND t.event_id > :after AND t.event_id < :before
        ORDER BY t.event_id DESC LIMIT :limit))) AS found
ORDER BY found.value DESC LIMIT :limit

-- name: events_of_terms_of_account
SELECT DISTINCT found.value FROM json_each(:terms) AS wanted, json_each((
    SELECT json_group_array(event_id) FROM (
        SELECT DISTINCT t.event_id FROM event_terms AS t INDEXED BY event_terms_by_account
        WHERE t.account_id = :owner AND t.term = wanted.value AND t.event_id > :after AND t.event_id < :before
        ORDER BY t.event_id DESC LIMIT :limit))) AS found
ORDER BY found.value DESC LIMIT :limit
