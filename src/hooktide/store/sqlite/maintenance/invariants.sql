-- The invariants (store/maintenance/invariants.py), as statements of the same names in the same order for each
-- database. Each returns the objects it checks: kind, id, and whether the invariant is broken.
-- ":projects" has each project's limits as JSON; a missing limit is NULL and breaks nothing.

-- name: project_facts
SELECT id, config, changed_at FROM projects

-- name: clock_facts
SELECT set_back_from FROM clock_mark

-- name: fan_out
-- Retention drops an event with all its deliveries, so the count is valid as long as the event
-- exists.
SELECT 'evt' AS kind, e.id, (e.deliveries, e.deliveries) <> (
    SELECT count(*), count(DISTINCT d.endpoint_id) FROM deliveries AS d
    WHERE d.event_id = e.id AND d.origin NOT IN ('resend', 'replay')) AS broken
FROM events AS e

-- name: missed
-- An endpoint's event types are known since its last change, so only later events are checked. A
-- test event is for one endpoint only.
WITH wanting AS MATERIALIZED (
    SELECT id, account_id, event_types, max(id, stale_before, (changed_at + :slack) << 11, :ordered_since << 11) AS since
    FROM endpoints WHERE disabled_reason = '' AND removed_at IS NULL)
SELECT 'evt' AS kind, e.id, NOT EXISTS (
    SELECT 1 FROM deliveries AS d WHERE d.event_id = e.id AND d.endpoint_id = w.id
        AND d.origin NOT IN ('resend', 'replay')) AS broken
FROM wanting AS w JOIN events AS e ON e.account_id = w.account_id AND e.id > w.since
WHERE EXISTS (
    SELECT 1 FROM json_each(w.event_types) AS wanted
    WHERE e.type = wanted.value OR substr(wanted.value, -1) = '*'
        AND substr(e.type, 1, length(wanted.value) - 1) = substr(wanted.value, 1, length(wanted.value) - 1))
AND (NOT e.test OR NOT EXISTS (
    SELECT 1 FROM deliveries AS d WHERE d.event_id = e.id AND d.origin = 'test'))

-- name: unwanted
-- Only events that were accepted after the endpoint's last change can be checked.
SELECT 'dlv' AS kind, d.id, NOT EXISTS (
    SELECT 1 FROM json_each(ep.event_types) AS wanted
    WHERE e.type = wanted.value OR substr(wanted.value, -1) = '*'
        AND substr(e.type, 1, length(wanted.value) - 1) = substr(wanted.value, 1, length(wanted.value) - 1)) AS broken
FROM deliveries AS d JOIN events AS e ON e.id = d.event_id JOIN endpoints AS ep ON ep.id = d.endpoint_id
WHERE d.origin = 'event' AND e.id > max(ep.id, (ep.changed_at + :slack) << 11, :ordered_since << 11)

-- name: states
SELECT 'dlv' AS kind, id, NOT CASE
    WHEN state = 'pending' THEN due_at IS NOT NULL AND ended_at IS NULL
    WHEN state = 'held' THEN due_at IS NULL AND ended_at IS NULL AND claim <= 0
    WHEN state IN ('delivered', 'failed', 'discarded')
        THEN due_at IS NULL AND ended_at IS NOT NULL AND claim <= 0
    ELSE FALSE END AS broken
FROM deliveries

-- name: orphans
SELECT 'dlv' AS kind, d.id, NOT EXISTS (SELECT 1 FROM events AS e WHERE e.id = d.event_id) AS broken
FROM deliveries AS d
UNION ALL
SELECT 'dlv', a.id >> 11 << 11, NOT EXISTS (
    SELECT 1 FROM deliveries AS d WHERE d.id = a.id >> 11 << 11)
FROM attempts AS a

-- name: attempt_numbers
SELECT 'dlv' AS kind, d.id, (d.attempts, d.attempts) <> (
    SELECT count(*), coalesce(max(a.id) - d.id, 0) FROM attempts AS a
    WHERE a.id > d.id AND a.id <= d.id + 2047) AS broken
FROM deliveries AS d

-- name: retries
-- There may be one more: the 2xx of an attempt that had lost its lease, which counts nevertheless.
WITH rules AS MATERIALIZED (
    SELECT value ->> 'id' AS project_id, value ->> 'since' AS since, value ->> 'retries' AS retries
    FROM json_each(:projects))
SELECT 'dlv' AS kind, d.id, d.attempts > (d.state = 'delivered') + 1 + CASE
    WHEN d.origin = 'test' THEN 0
    WHEN d.id >> 11 > r.since THEN r.retries
    ELSE :max_retries END AS broken
FROM deliveries AS d JOIN rules AS r USING (project_id)

-- name: delivered
SELECT 'dlv' AS kind, d.id, (
    SELECT CASE WHEN d.state = 'delivered'
        THEN count(*) FILTER (WHERE a.status BETWEEN 200 AND 299) <> 1
            OR max(a.id) FILTER (WHERE a.status BETWEEN 200 AND 299) <> max(a.id)
        ELSE count(*) FILTER (WHERE a.status BETWEEN 200 AND 299) <> 0 END
    FROM attempts AS a WHERE a.id > d.id AND a.id <= d.id + 2047) AS broken
FROM deliveries AS d

-- name: claims
-- A claim's token is an id that is generated when claiming; "stale_before" is one from when the
-- endpoint was disabled.
-- Only a test is claimed for an endpoint that is disabled.
SELECT 'dlv' AS kind, d.id, (ep.disabled_reason <> '' AND d.origin <> 'test'
    OR ep.removed_at IS NOT NULL) AND d.claim > ep.stale_before AS broken
FROM deliveries AS d INDEXED BY deliveries_leased JOIN endpoints AS ep ON ep.id = d.endpoint_id
WHERE d.state = 'pending' AND d.claim > 0

-- name: leases
SELECT 'dlv' AS kind, id, coalesce(due_at, 0) > (claim >> 11) + :lease + :slack AS broken
FROM deliveries INDEXED BY deliveries_leased WHERE state = 'pending' AND claim > 0
    AND claim >> 11 > :ordered_since
UNION ALL
SELECT 'dlv', d.id, coalesce(d.due_at, 0) > max(:now + (r.value ->> 'furthest') + :slack,
    (r.value ->> 'since') + :max_rest)
FROM deliveries AS d INDEXED BY deliveries_due
JOIN json_each(:projects) AS r ON r.value ->> 'id' = d.project_id
WHERE d.state = 'pending' AND d.claim <= 0 AND r.value ->> 'since' <= :now + :slack

-- name: sent_after
-- A test is sent to an endpoint that is disabled, too.
WITH off AS MATERIALIZED (
    SELECT id, stale_before, removed_at, coalesce(disabled_at, removed_at) AS since FROM endpoints
    WHERE disabled_reason <> '' OR removed_at IS NOT NULL),
looked AS (
    SELECT d.id, off.stale_before, iif(d.origin = 'test', off.removed_at, off.since) AS since
    FROM off JOIN deliveries AS d ON d.endpoint_id = off.id)
SELECT 'dlv' AS kind, id, since IS NOT NULL AND id > stale_before
    OR since > :ordered_since AND EXISTS (
        SELECT 1 FROM attempts AS a WHERE a.id > looked.id AND a.id <= looked.id + 2047
            AND a.started_at > since + :slack) AS broken
FROM looked

-- name: failing
-- Deliveries that ended within the slack of each other may have been counted in either order. A
-- 410, or a chat service's equivalent, disables the endpoint and is not counted; enabling resets
-- the count. The count may exceed the log if the log does not go back to the endpoint's first
-- delivery, or to the start of its series of failures.
WITH ended AS MATERIALIZED (
    SELECT endpoint_id, max(ended_at) AS delivered_at FROM deliveries
    WHERE state = 'delivered' AND origin <> 'test' GROUP BY endpoint_id),
known AS MATERIALIZED (
    SELECT ep.id, ep.failing, coalesce(ended.delivered_at, 0) - :slack AS earliest,
        max(coalesce(ended.delivered_at, 0), ep.changed_at, :ordered_since) + :slack AS latest,
        (ep.created_at >= r.value ->> 'whole_since'
            OR coalesce(ended.delivered_at >= r.value ->> 'run_since', FALSE))
            AND coalesce(ended.delivered_at, ep.created_at) >= :ordered_since AS whole
    FROM endpoints AS ep JOIN json_each(:projects) AS r ON r.value ->> 'id' = ep.project_id
    LEFT JOIN ended ON ended.endpoint_id = ep.id
    WHERE ep.removed_at IS NULL AND :ordered_since <= :now + :slack),
run AS MATERIALIZED (
    SELECT known.id, count(*) FILTER (WHERE d.ended_at > known.latest) AS least, count(*) AS most
    FROM known JOIN deliveries AS d ON d.endpoint_id = known.id
    WHERE d.state = 'failed' AND d.origin <> 'test' AND d.reason <> 'status 410'
        AND d.reason NOT LIKE 'gone: %'
        AND d.ended_at >= known.earliest
    GROUP BY known.id)
SELECT 'ep' AS kind, known.id, known.failing < coalesce(run.least, 0)
    OR known.whole AND known.failing > coalesce(run.most, 0) AS broken
FROM known LEFT JOIN run ON run.id = known.id

-- name: auto_disable
WITH failed AS MATERIALIZED (
    SELECT endpoint_id, max(ended_at) AS failed_at FROM deliveries
    WHERE state = 'failed' AND origin <> 'test' GROUP BY endpoint_id)
SELECT 'ep' AS kind, ep.id, r.value ->> 'disable_after' > 0
    AND ep.failing >= r.value ->> 'disable_after'
    AND coalesce(failed.failed_at > r.value ->> 'since', FALSE) AS broken
FROM endpoints AS ep JOIN json_each(:projects) AS r ON r.value ->> 'id' = ep.project_id
LEFT JOIN failed ON failed.endpoint_id = ep.id
WHERE ep.disabled_reason = '' AND ep.removed_at IS NULL AND r.value ->> 'since' <= :now + :slack

-- name: enabled
SELECT 'ep' AS kind, id, (disabled_reason <> '') <> (disabled_at IS NOT NULL) AS broken
FROM endpoints WHERE removed_at IS NULL

-- name: gaps
-- An attempt that began before the last one ended is the 2xx of an attempt that had lost its lease.
-- If it began long before, the clock was set back between them. A user may also have retried the
-- account's deliveries immediately. An endpoint with delays of its own may have had others.
WITH rules AS MATERIALIZED (
    SELECT value ->> 'id' AS project_id, value ->> 'since' AS since, value -> 'gaps' AS gaps
    FROM json_each(:projects))
SELECT 'dlv' AS kind, d.id, b.started_at - a.started_at - a.duration
        < r.gaps ->> min((a.id & 2047) - 1, :max_retries)
    AND NOT (b.started_at < a.started_at + a.duration AND b.status BETWEEN 200 AND 299)
    AND b.started_at >= a.started_at - :slack
    AND NOT EXISTS (
        SELECT 1 FROM audit_log AS l
        WHERE l.account_id = d.account_id AND l.action = 'delivery.retry'
            AND l.id >= a.started_at << 11 AND l.id < (b.started_at + :slack) << 11) AS broken
FROM attempts AS b JOIN attempts AS a ON a.id = b.id - 1
JOIN deliveries AS d ON d.id = b.id >> 11 << 11 JOIN rules AS r USING (project_id)
WHERE b.id & 2047 >= 2 AND a.started_at > r.since
    AND NOT EXISTS (
        SELECT 1 FROM endpoints AS e WHERE e.id = d.endpoint_id
            AND (e.retry_delays IS NOT NULL OR e.changed_at > a.started_at))

-- name: rests
-- Deliveries that another process had claimed before it learned of the rest may have been sent
-- within the slack.
SELECT 'ep' AS kind, ep.id, ep.rest_reason = '' OR ep.rests_until > ep.rest_began_at + :rest_cap
    OR EXISTS (
        SELECT 1 FROM deliveries AS d JOIN attempts AS a ON a.id > d.id AND a.id <= d.id + 2047
        WHERE d.endpoint_id = ep.id AND d.origin <> 'test'
            AND NOT (d.origin = 'resend' AND a.id = d.id + 1)
            AND a.started_at > ep.rest_began_at + :slack AND a.started_at < ep.rests_until) AS broken
FROM endpoints AS ep
WHERE ep.rests_until > 0 AND ep.removed_at IS NULL AND ep.rest_began_at > :ordered_since

-- name: endpoint_limits
-- Endpoints that exist now and were created earlier existed when this one was created.
WITH ranked AS (
    SELECT id, project_id, created_at, row_number() OVER (PARTITION BY account_id ORDER BY id) AS place
    FROM endpoints WHERE removed_at IS NULL)
SELECT 'ep' AS kind, ep.id, ep.place > r.value ->> 'endpoints' AS broken
FROM ranked AS ep JOIN json_each(:projects) AS r ON r.value ->> 'id' = ep.project_id
WHERE ep.created_at > r.value ->> 'since' AND r.value ->> 'endpoints' IS NOT NULL

-- name: hourly_limits
SELECT 'acc' AS kind, u.account_id AS id, r.value ->> 'per_hour' < (
    SELECT sum(w.deliveries) FROM usage AS w
    WHERE w.account_id = u.account_id AND w.minute BETWEEN u.minute - 60 AND u.minute) AS broken
FROM usage AS u JOIN accounts AS acc ON acc.id = u.account_id
JOIN json_each(:projects) AS r ON r.value ->> 'id' = acc.project_id
WHERE (u.minute - 60) * 60000000 > r.value ->> 'since' AND r.value ->> 'per_hour' IS NOT NULL

-- name: usage
-- Can be checked if every plan has a limit, for the last hour. Held deliveries count when they are
-- released.
WITH rules AS MATERIALIZED (
    SELECT value ->> 'id' AS project_id, value ->> 'hour_since' AS since FROM json_each(:projects)
    WHERE value ->> 'per_hour' IS NOT NULL AND value ->> 'hour_since' < :now - :slack),
counted AS MATERIALIZED (
    SELECT u.account_id, sum(u.deliveries) AS deliveries
    FROM usage AS u JOIN accounts AS acc ON acc.id = u.account_id JOIN rules AS r USING (project_id)
    WHERE u.minute * 60000000 >= r.since GROUP BY u.account_id),
sent AS MATERIALIZED (
    SELECT acc.id AS account_id, count(*) AS most,
        count(*) FILTER (WHERE (d.id >> 11) BETWEEN r.since + :slack AND :now
            AND (d.attempts > 0 OR d.state = 'pending') AND d.account_id = ep.account_id) AS least
    FROM deliveries AS d JOIN endpoints AS ep ON ep.id = d.endpoint_id
    JOIN accounts AS acc ON acc.id IN (d.account_id, ep.account_id)
    JOIN rules AS r ON r.project_id = acc.project_id
    WHERE d.state <> 'held' AND (d.state = 'pending' OR d.ended_at >= r.since - :slack
        OR (d.id >> 11) >= r.since - :slack)
    GROUP BY acc.id)
SELECT 'acc' AS kind, acc.id, coalesce(counted.deliveries, 0)
    NOT BETWEEN coalesce(sent.least, 0) AND coalesce(sent.most, 0) AS broken
FROM accounts AS acc JOIN rules USING (project_id)
LEFT JOIN counted ON counted.account_id = acc.id LEFT JOIN sent ON sent.account_id = acc.id

-- name: secrets
SELECT 'ep' AS kind, id, NOT EXISTS (
    SELECT 1 FROM secrets WHERE endpoint_id = endpoints.id AND retires_at IS NULL) AS broken
FROM endpoints WHERE removed_at IS NULL

-- name: idempotency
SELECT 'evt' AS kind, i.event_id AS id,
    (e.project_id, e.deliveries) IS NOT (i.project_id, i.deliveries) OR EXISTS (
        SELECT 1 FROM idempotency AS other WHERE other.event_id = i.event_id
            AND (other.project_id, other.key) <> (i.project_id, i.key)) AS broken
FROM idempotency AS i LEFT JOIN events AS e ON e.id = i.event_id

-- name: ownership
SELECT 'evt' AS kind, e.id, acc.project_id IS NOT e.project_id AS broken
FROM events AS e LEFT JOIN accounts AS acc ON acc.id = e.account_id
UNION ALL
SELECT 'dlv', d.id, (d.account_id, d.account_id, d.project_id, d.project_id)
    IS NOT (e.account_id, ep.account_id, e.project_id, ep.project_id)
FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
LEFT JOIN endpoints AS ep ON ep.id = d.endpoint_id
UNION ALL
SELECT 'ep', ep.id, acc.project_id IS NOT ep.project_id
FROM endpoints AS ep LEFT JOIN accounts AS acc ON acc.id = ep.account_id
UNION ALL
SELECT 'key', k.id, acc.project_id IS NOT k.project_id
FROM keys AS k LEFT JOIN accounts AS acc ON acc.id = k.account_id WHERE k.account_id IS NOT NULL
UNION ALL
SELECT 'bin', b.id, acc.project_id IS NOT b.project_id
FROM bins AS b LEFT JOIN accounts AS acc ON acc.id = b.account_id WHERE b.account_id IS NOT NULL
UNION ALL
SELECT 'rpl', r.id, (ep.account_id, ep.project_id) IS NOT (r.account_id, r.project_id)
FROM replays AS r LEFT JOIN endpoints AS ep ON ep.id = r.endpoint_id

-- name: indexed_values
-- An erased payload is null.
SELECT 'evt' AS kind, t.event_id AS id,
    (e.project_id, e.account_id) IS NOT (t.project_id, t.account_id) OR e.payload = x'6e756c6c' AS broken
FROM event_terms AS t LEFT JOIN events AS e ON e.id = t.event_id

-- name: known_keys
-- Keys are revoked and never deleted.
SELECT 'aud' AS kind, c.id, NOT EXISTS (
    SELECT 1 FROM keys AS k WHERE 'key_' || printf('%016x', k.id) = c.target) AS broken
FROM audit_log AS c WHERE substr(c.target, 1, 4) = 'key_'

-- name: waiting_counts
-- Includes endpoints that are disabled, deleted or missing.
WITH counted AS (
    SELECT endpoint_id AS id, sum(waiting) AS waiting, sum(retries) AS retries, sum(held) AS held
    FROM waiting_counts GROUP BY endpoint_id),
there AS (
    SELECT endpoint_id AS id, count(*) FILTER (WHERE state = 'pending') AS waiting,
        count(*) FILTER (WHERE state = 'pending' AND attempts > 0) AS retries,
        count(*) FILTER (WHERE state = 'held') AS held
    FROM deliveries WHERE state IN ('pending', 'held') AND claim <= 0 GROUP BY endpoint_id)
SELECT 'ep' AS kind, id, (coalesce(counted.waiting, 0), coalesce(counted.retries, 0), coalesce(counted.held, 0))
    <> (coalesce(there.waiting, 0), coalesce(there.retries, 0), coalesce(there.held, 0)) AS broken
FROM (SELECT id FROM endpoints) AS known
FULL JOIN counted USING (id) FULL JOIN there USING (id)
