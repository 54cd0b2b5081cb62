-- The invariants (store/maintenance/invariants.py), as statements of the same names in the same order for each
-- database. Each returns the objects it checks: kind, id, and whether the invariant is broken.
-- ":projects" has each project's limits as JSON; a missing limit is NULL and breaks nothing. Here
-- the statements join whole tables instead of looking up single rows, because the log's indexes are
-- per day.

-- name: project_facts
SELECT id, config, changed_at FROM {schema}projects

-- name: clock_facts
SELECT set_back_from FROM {schema}clock_mark

-- name: fan_out
-- Retention drops an event with all its deliveries, so the count is valid as long as the event
-- exists.
WITH made AS (
    SELECT event_id, count(*) AS deliveries, count(DISTINCT endpoint_id) AS endpoints
    FROM {schema}deliveries WHERE origin NOT IN ('resend', 'replay') GROUP BY event_id)
SELECT 'evt' AS kind, e.id,
    (e.deliveries, e.deliveries) <> (coalesce(made.deliveries, 0), coalesce(made.endpoints, 0)) AS broken
FROM {schema}events AS e LEFT JOIN made ON made.event_id = e.id

-- name: missed
-- An endpoint's event types are known since its last change, so only later events are checked. A
-- test event is for one endpoint only.
WITH wanting AS MATERIALIZED (
    SELECT id, account_id, event_types::jsonb AS event_types,
        greatest(id, stale_before, (changed_at + :slack::bigint) << 11, :ordered_since::bigint << 11) AS since
    FROM {schema}endpoints WHERE disabled_reason = '' AND removed_at IS NULL),
made AS (
    SELECT DISTINCT event_id, endpoint_id FROM {schema}deliveries
    WHERE origin NOT IN ('resend', 'replay'))
SELECT 'evt' AS kind, e.id, made.event_id IS NULL AS broken
FROM wanting AS w JOIN {schema}events AS e ON e.account_id = w.account_id AND e.id > w.since
LEFT JOIN made ON made.event_id = e.id AND made.endpoint_id = w.id
WHERE EXISTS (
    SELECT 1 FROM jsonb_array_elements_text(w.event_types) AS wanted
    WHERE e.type = wanted OR right(wanted, 1) = '*' AND starts_with(e.type, left(wanted, -1)))
AND NOT EXISTS (
    SELECT 1 FROM {schema}deliveries AS d WHERE d.event_id = e.id AND d.origin = 'test')

-- name: unwanted
-- Only events that were accepted after the endpoint's last change can be checked.
SELECT 'dlv' AS kind, d.id, NOT EXISTS (
    SELECT 1 FROM jsonb_array_elements_text(ep.event_types::jsonb) AS wanted
    WHERE e.type = wanted OR right(wanted, 1) = '*' AND starts_with(e.type, left(wanted, -1))) AS broken
FROM {schema}deliveries AS d JOIN {schema}events AS e ON e.id = d.event_id
JOIN {schema}endpoints AS ep ON ep.id = d.endpoint_id
WHERE d.origin = 'event' AND e.id > greatest(ep.id, (ep.changed_at + :slack::bigint) << 11, :ordered_since::bigint << 11)

-- name: states
SELECT 'dlv' AS kind, q.id, ended.id IS NOT NULL OR NOT CASE
    WHEN q.state = 'pending' THEN q.due_at IS NOT NULL
    WHEN q.state = 'held' THEN q.due_at IS NULL AND q.claim = 0
    ELSE FALSE END AS broken
FROM {schema}queue AS q LEFT JOIN {schema}ended USING (id)
UNION ALL
SELECT 'dlv', id, state NOT IN ('delivered', 'failed', 'discarded') FROM {schema}ended

-- name: orphans
SELECT 'dlv' AS kind, d.id, e.id IS NULL AS broken
FROM {schema}deliveries AS d LEFT JOIN {schema}events AS e ON e.id = d.event_id
UNION ALL
SELECT 'dlv', a.delivery_id, d.id IS NULL
FROM {schema}attempts AS a LEFT JOIN {schema}deliveries AS d ON d.id = a.delivery_id

-- name: attempt_numbers
WITH made AS (
    SELECT delivery_id, count(*) AS attempts, min(number) AS first, max(number) AS last
    FROM {schema}attempts GROUP BY delivery_id)
SELECT 'dlv' AS kind, d.id, CASE WHEN made.delivery_id IS NULL THEN d.attempts <> 0
    ELSE (made.attempts, made.first, made.last) <> (d.attempts, 1, d.attempts) END AS broken
FROM {schema}deliveries AS d LEFT JOIN made ON made.delivery_id = d.id

-- name: retries
-- There may be one more: the 2xx of an attempt that had lost its lease, which counts nevertheless.
WITH rules AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, retries integer))
SELECT 'dlv' AS kind, d.id, d.attempts > (d.state = 'delivered')::integer + 1 + CASE
    WHEN d.origin = 'test' THEN 0
    WHEN d.id >> 11 > r.since THEN r.retries
    ELSE :max_retries::integer END AS broken
FROM {schema}deliveries AS d JOIN rules AS r ON r.id = d.project_id

-- name: delivered
WITH made AS (
    SELECT delivery_id, max(number) AS last,
        count(*) FILTER (WHERE status BETWEEN 200 AND 299) AS good,
        max(number) FILTER (WHERE status BETWEEN 200 AND 299) AS good_at
    FROM {schema}attempts GROUP BY delivery_id)
SELECT 'dlv' AS kind, d.id, CASE
    WHEN d.state = 'delivered' THEN made.good IS DISTINCT FROM 1 OR made.good_at <> made.last
    ELSE coalesce(made.good, 0) <> 0 END AS broken
FROM {schema}deliveries AS d LEFT JOIN made ON made.delivery_id = d.id

-- name: claims
-- A claim's token is an id that is generated when claiming. One process may claim while another
-- disables the endpoint.
-- Only a test is claimed for an endpoint that is disabled.
WITH claimed AS (
    SELECT q.id, q.claim >> 11 AS at,
        coalesce(CASE WHEN q.origin <> 'test' THEN ep.disabled_at END, ep.removed_at) AS off_since
    FROM {schema}queue AS q JOIN {schema}endpoints AS ep ON ep.id = q.endpoint_id
    WHERE q.state = 'pending' AND q.claim <> 0)
SELECT 'dlv' AS kind, id, coalesce(at > off_since + :slack::bigint, FALSE) AS broken
FROM claimed WHERE coalesce(off_since, at) > :ordered_since::bigint

-- name: leases
SELECT 'dlv' AS kind, q.id, coalesce(q.due_at, 0) > CASE
    WHEN q.claim <> 0 THEN (q.claim >> 11) + :lease::bigint + :slack::bigint
    ELSE greatest(:now::bigint + r.furthest + :slack::bigint, r.since + :max_rest::bigint) END AS broken
FROM {schema}queue AS q
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, furthest bigint)
    ON r.id = q.project_id
WHERE q.state = 'pending' AND CASE
    WHEN q.claim <> 0 THEN q.claim >> 11 > :ordered_since::bigint
    ELSE r.since <= :now::bigint + :slack::bigint END

-- name: sent_after
-- A test is sent to an endpoint that is disabled, too.
WITH looked AS (
    SELECT d.id,
        coalesce(CASE WHEN d.origin <> 'test' THEN ep.disabled_at END, ep.removed_at) AS off_since
    FROM {schema}deliveries AS d JOIN {schema}endpoints AS ep ON ep.id = d.endpoint_id
    WHERE ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
SELECT 'dlv' AS kind, id, id >> 11 > off_since + :slack::bigint
    OR EXISTS (
        SELECT 1 FROM {schema}attempts AS a
        WHERE a.delivery_id = looked.id AND a.started_at > off_since + :slack::bigint) AS broken
FROM looked WHERE off_since > :ordered_since::bigint

-- name: failing
-- Deliveries that ended within the slack of each other may have been counted in either order. A
-- 410, or a chat service's equivalent, disables the endpoint and is not counted; enabling resets
-- the count. The count may exceed the log if the log does not go back to the endpoint's first
-- delivery, or to the start of its series of failures.
WITH ended AS (
    SELECT endpoint_id, max(ended_at) AS delivered_at FROM {schema}ended
    WHERE state = 'delivered' AND origin <> 'test' GROUP BY endpoint_id),
known AS MATERIALIZED (
    SELECT ep.id, ep.failing, coalesce(ended.delivered_at, 0) - :slack::bigint AS earliest,
        greatest(ended.delivered_at, ep.changed_at, :ordered_since::bigint) + :slack::bigint AS latest,
        (ep.created_at >= r.whole_since OR coalesce(ended.delivered_at >= r.run_since, FALSE))
            AND coalesce(ended.delivered_at, ep.created_at) >= :ordered_since::bigint AS whole
    FROM {schema}endpoints AS ep
    JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, whole_since bigint, run_since bigint)
        ON r.id = ep.project_id
    LEFT JOIN ended ON ended.endpoint_id = ep.id
    WHERE ep.removed_at IS NULL AND :ordered_since::bigint <= :now::bigint + :slack::bigint),
run AS (
    SELECT known.id, count(*) FILTER (WHERE d.ended_at > known.latest) AS least, count(*) AS most
    FROM known JOIN {schema}ended AS d ON d.endpoint_id = known.id
    WHERE d.state = 'failed' AND d.origin <> 'test' AND d.reason <> 'status 410'
        AND d.reason NOT LIKE 'gone: %'
        AND d.ended_at >= known.earliest
    GROUP BY known.id)
SELECT 'ep' AS kind, known.id, known.failing < coalesce(run.least, 0)
    OR known.whole AND known.failing > coalesce(run.most, 0) AS broken
FROM known LEFT JOIN run ON run.id = known.id

-- name: auto_disable
WITH failed AS (
    SELECT endpoint_id, max(ended_at) AS failed_at FROM {schema}ended
    WHERE state = 'failed' AND origin <> 'test' GROUP BY endpoint_id)
SELECT 'ep' AS kind, ep.id, r.disable_after > 0 AND ep.failing >= r.disable_after
    AND coalesce(failed.failed_at > r.since, FALSE) AS broken
FROM {schema}endpoints AS ep
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, disable_after integer)
    ON r.id = ep.project_id
LEFT JOIN failed ON failed.endpoint_id = ep.id
WHERE ep.disabled_reason = '' AND ep.removed_at IS NULL
    AND r.since <= :now::bigint + :slack::bigint

-- name: enabled
SELECT 'ep' AS kind, id, (disabled_reason <> '') <> (disabled_at IS NOT NULL) AS broken
FROM {schema}endpoints WHERE removed_at IS NULL

-- name: gaps
-- An attempt that began before the last one ended is the 2xx of an attempt that had lost its lease.
-- If it began long before, the clock was set back between them. A user may also have retried the
-- account's deliveries immediately. An endpoint with delays of its own may have had others.
WITH rules AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, gaps jsonb))
SELECT 'dlv' AS kind, d.id, b.started_at - a.started_at - a.duration
        < (r.gaps ->> least(a.number - 1, :max_retries::integer))::bigint
    AND NOT (b.started_at < a.started_at + a.duration
        AND coalesce(b.status BETWEEN 200 AND 299, FALSE))
    AND b.started_at >= a.started_at - :slack::bigint
    AND NOT EXISTS (
        SELECT 1 FROM {schema}audit_log AS l
        WHERE l.account_id = d.account_id AND l.action = 'delivery.retry'
            AND l.id >= a.started_at << 11 AND l.id < (b.started_at + :slack::bigint) << 11) AS broken
FROM {schema}attempts AS b
JOIN {schema}attempts AS a ON a.delivery_id = b.delivery_id AND a.number = b.number - 1
JOIN {schema}deliveries AS d ON d.id = b.delivery_id JOIN rules AS r ON r.id = d.project_id
WHERE b.number >= 2 AND a.started_at > r.since
    AND NOT EXISTS (
        SELECT 1 FROM {schema}endpoints AS e WHERE e.id = d.endpoint_id
            AND (e.retry_delays IS NOT NULL OR e.changed_at > a.started_at))

-- name: rests
-- Deliveries that another process had claimed before it learned of the rest may have been sent
-- within the slack.
SELECT 'ep' AS kind, ep.id, ep.rest_reason = ''
    OR ep.rests_until > ep.rest_began_at + :rest_cap::bigint
    OR EXISTS (
        SELECT 1 FROM {schema}deliveries AS d
        JOIN {schema}attempts AS a ON a.delivery_id = d.id
        WHERE d.endpoint_id = ep.id AND d.origin <> 'test'
            AND NOT (d.origin = 'resend' AND a.number = 1)
            AND a.started_at > ep.rest_began_at + :slack::bigint AND a.started_at < ep.rests_until)
        AS broken
FROM {schema}endpoints AS ep
WHERE ep.rests_until > 0 AND ep.removed_at IS NULL AND ep.rest_began_at > :ordered_since::bigint

-- name: endpoint_limits
-- Endpoints that exist now and were created earlier existed when this one was created.
WITH ranked AS (
    SELECT id, project_id, created_at, row_number() OVER (PARTITION BY account_id ORDER BY id) AS place
    FROM {schema}endpoints WHERE removed_at IS NULL)
SELECT 'ep' AS kind, ep.id, ep.place > r.endpoints AS broken
FROM ranked AS ep
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, endpoints bigint)
    ON r.id = ep.project_id
WHERE ep.created_at > r.since AND r.endpoints IS NOT NULL

-- name: hourly_limits
SELECT 'acc' AS kind, u.account_id AS id, r.per_hour < (
    SELECT sum(w.deliveries) FROM {schema}usage AS w
    WHERE w.account_id = u.account_id AND w.minute BETWEEN u.minute - 60 AND u.minute) AS broken
FROM {schema}usage AS u JOIN {schema}accounts AS acc ON acc.id = u.account_id
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, per_hour bigint)
    ON r.id = acc.project_id
WHERE (u.minute - 60) * 60000000 > r.since AND r.per_hour IS NOT NULL

-- name: usage
-- Can be checked if every plan has a limit, for the last hour. Held deliveries count when they are
-- released.
WITH rules AS MATERIALIZED (
    SELECT id AS project_id, hour_since AS since
    FROM jsonb_to_recordset(:projects::jsonb) AS r (id bigint, per_hour bigint, hour_since bigint)
    WHERE per_hour IS NOT NULL AND hour_since < :now::bigint - :slack::bigint),
counted AS (
    SELECT u.account_id, sum(u.deliveries) AS deliveries
    FROM {schema}usage AS u JOIN {schema}accounts AS acc ON acc.id = u.account_id
    JOIN rules AS r USING (project_id)
    WHERE u.minute * 60000000 >= r.since GROUP BY u.account_id),
sent AS (
    SELECT acc.id AS account_id, count(*) AS most,
        count(*) FILTER (WHERE (d.id >> 11) BETWEEN r.since + :slack::bigint AND :now::bigint
            AND (d.attempts > 0 OR d.state = 'pending') AND d.account_id = ep.account_id) AS least
    FROM {schema}deliveries AS d JOIN {schema}endpoints AS ep ON ep.id = d.endpoint_id
    JOIN {schema}accounts AS acc ON acc.id IN (d.account_id, ep.account_id)
    JOIN rules AS r ON r.project_id = acc.project_id
    WHERE d.state <> 'held' AND (d.state = 'pending' OR d.ended_at >= r.since - :slack::bigint
        OR (d.id >> 11) >= r.since - :slack::bigint)
    GROUP BY acc.id)
SELECT 'acc' AS kind, acc.id, coalesce(counted.deliveries, 0)
    NOT BETWEEN coalesce(sent.least, 0) AND coalesce(sent.most, 0) AS broken
FROM {schema}accounts AS acc JOIN rules USING (project_id)
LEFT JOIN counted ON counted.account_id = acc.id LEFT JOIN sent ON sent.account_id = acc.id

-- name: secrets
SELECT 'ep' AS kind, id, NOT EXISTS (
    SELECT 1 FROM {schema}secrets WHERE endpoint_id = endpoints.id AND retires_at IS NULL) AS broken
FROM {schema}endpoints WHERE removed_at IS NULL

-- name: idempotency
SELECT 'evt' AS kind, i.event_id AS id, e.id IS NULL
    OR (e.project_id, e.deliveries) <> (i.project_id, i.deliveries)
    OR count(*) OVER (PARTITION BY i.event_id) > 1 AS broken
FROM {schema}idempotency AS i LEFT JOIN {schema}events AS e ON e.id = i.event_id

-- name: ownership
SELECT 'evt' AS kind, e.id, acc.project_id IS DISTINCT FROM e.project_id AS broken
FROM {schema}events AS e LEFT JOIN {schema}accounts AS acc ON acc.id = e.account_id
UNION ALL
SELECT 'dlv', d.id, (d.account_id, d.account_id, d.project_id, d.project_id)
    IS DISTINCT FROM (e.account_id, ep.account_id, e.project_id, ep.project_id)
FROM {schema}deliveries AS d JOIN {schema}events AS e ON e.id = d.event_id
LEFT JOIN {schema}endpoints AS ep ON ep.id = d.endpoint_id
UNION ALL
SELECT 'dlv', a.delivery_id, a.account_id <> d.account_id
FROM {schema}attempts AS a JOIN {schema}deliveries AS d ON d.id = a.delivery_id
UNION ALL
SELECT 'ep', ep.id, acc.project_id IS DISTINCT FROM ep.project_id
FROM {schema}endpoints AS ep LEFT JOIN {schema}accounts AS acc ON acc.id = ep.account_id
UNION ALL
SELECT 'key', k.id, acc.project_id IS DISTINCT FROM k.project_id
FROM {schema}keys AS k LEFT JOIN {schema}accounts AS acc ON acc.id = k.account_id
WHERE k.account_id IS NOT NULL
UNION ALL
SELECT 'bin', b.id, acc.project_id IS DISTINCT FROM b.project_id
FROM {schema}bins AS b LEFT JOIN {schema}accounts AS acc ON acc.id = b.account_id
WHERE b.account_id IS NOT NULL
UNION ALL
SELECT 'rpl', r.id, (ep.account_id, ep.project_id) IS DISTINCT FROM (r.account_id, r.project_id)
FROM {schema}replays AS r LEFT JOIN {schema}endpoints AS ep ON ep.id = r.endpoint_id

-- name: indexed_values
-- An erased payload is null.
SELECT 'evt' AS kind, t.event_id AS id,
    (e.project_id, e.account_id) IS DISTINCT FROM (t.project_id, t.account_id) OR e.payload = 'null' AS broken
FROM {schema}event_terms AS t LEFT JOIN {schema}events AS e ON e.id = t.event_id

-- name: known_keys
-- Keys are revoked and never deleted.
SELECT 'aud' AS kind, c.id, k.id IS NULL AS broken
FROM {schema}audit_log AS c
LEFT JOIN {schema}keys AS k ON 'key_' || lpad(to_hex(k.id), 16, '0') = c.target
WHERE c.target LIKE 'key\_%'

-- name: waiting_counts
-- Includes endpoints that are disabled, deleted or missing.
WITH counted AS (
    SELECT endpoint_id AS id, sum(waiting) AS waiting, sum(retries) AS retries, sum(held) AS held
    FROM {schema}waiting_counts GROUP BY endpoint_id),
there AS (
    SELECT endpoint_id AS id, count(*) FILTER (WHERE state = 'pending') AS waiting,
        count(*) FILTER (WHERE state = 'pending' AND attempts > 0) AS retries,
        count(*) FILTER (WHERE state = 'held') AS held
    FROM {schema}queue WHERE claim = 0 GROUP BY endpoint_id)
SELECT 'ep' AS kind, id, (coalesce(counted.waiting, 0), coalesce(counted.retries, 0), coalesce(counted.held, 0))
    <> (coalesce(there.waiting, 0), coalesce(there.retries, 0), coalesce(there.held, 0)) AS broken
FROM (SELECT id FROM {schema}endpoints) AS known
FULL JOIN counted USING (id) FULL JOIN there USING (id)
