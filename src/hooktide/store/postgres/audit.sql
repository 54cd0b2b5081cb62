-- What has to hold (store/audit.py), as statements of the same names in the same order for each
-- database. Each yields what it looks at: its kind, its id, and whether it is broken. ":projects" is
-- what each project promises, as JSON; what it does not say is NULL and breaks nothing. Here they
-- join whole tables instead of looking up row by row: the log's indexes are by the day.

-- name: project_facts
SELECT id, config, changed_at FROM hooktide.projects

-- name: fan_out
-- Retention drops an event with all its deliveries, so the count holds as long as the event is there.
WITH made AS (
    SELECT event_id, count(*) AS deliveries, count(DISTINCT endpoint_id) AS endpoints
    FROM hooktide.deliveries WHERE origin NOT IN ('resend', 'replay') GROUP BY event_id)
SELECT 'evt' AS kind, e.id,
    (e.deliveries, e.deliveries) <> (coalesce(made.deliveries, 0), coalesce(made.endpoints, 0)) AS broken
FROM hooktide.events AS e LEFT JOIN made ON made.event_id = e.id

-- name: missed
-- What an endpoint wants is known since it changed last: only what came later is looked at. A test
-- event is for one endpoint alone.
WITH wanting AS MATERIALIZED (
    SELECT id, account_id, event_types::jsonb AS event_types,
        greatest(id, stale_before, (changed_at + :slack::bigint) << 11) AS since
    FROM hooktide.endpoints WHERE disabled_reason = '' AND removed_at IS NULL),
made AS (
    SELECT DISTINCT event_id, endpoint_id FROM hooktide.deliveries
    WHERE origin NOT IN ('resend', 'replay'))
SELECT 'evt' AS kind, e.id, made.event_id IS NULL AS broken
FROM wanting AS w JOIN hooktide.events AS e ON e.account_id = w.account_id AND e.id > w.since
LEFT JOIN made ON made.event_id = e.id AND made.endpoint_id = w.id
WHERE EXISTS (
    SELECT 1 FROM jsonb_array_elements_text(w.event_types) AS wanted
    WHERE e.type = wanted OR right(wanted, 1) = '*' AND starts_with(e.type, left(wanted, -1)))
AND NOT EXISTS (
    SELECT 1 FROM hooktide.deliveries AS d WHERE d.event_id = e.id AND d.origin = 'test')

-- name: states
SELECT 'dlv' AS kind, q.id, ended.id IS NOT NULL OR NOT CASE
    WHEN q.state = 'pending' THEN q.due_at IS NOT NULL
    WHEN q.state = 'held' THEN q.due_at IS NULL AND q.claim = 0
    ELSE FALSE END AS broken
FROM hooktide.queue AS q LEFT JOIN hooktide.ended USING (id)
UNION ALL
SELECT 'dlv', id, state NOT IN ('delivered', 'failed', 'discarded') FROM hooktide.ended

-- name: orphans
SELECT 'dlv' AS kind, d.id, e.id IS NULL AS broken
FROM hooktide.deliveries AS d LEFT JOIN hooktide.events AS e ON e.id = d.event_id
UNION ALL
SELECT 'dlv', a.delivery_id, d.id IS NULL
FROM hooktide.attempts AS a LEFT JOIN hooktide.deliveries AS d ON d.id = a.delivery_id

-- name: attempt_numbers
WITH made AS (
    SELECT delivery_id, count(*) AS attempts, min(number) AS first, max(number) AS last
    FROM hooktide.attempts GROUP BY delivery_id)
SELECT 'dlv' AS kind, d.id, CASE WHEN made.delivery_id IS NULL THEN d.attempts <> 0
    ELSE (made.attempts, made.first, made.last) <> (d.attempts, 1, d.attempts) END AS broken
FROM hooktide.deliveries AS d LEFT JOIN made ON made.delivery_id = d.id

-- name: retries
-- One more may be the 2xx of an attempt that had lost its lease, which is believed all the same.
WITH rules AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, retries integer))
SELECT 'dlv' AS kind, d.id, d.attempts > (d.state = 'delivered')::integer + 1 + CASE
    WHEN d.origin = 'test' THEN 0
    WHEN d.id >> 11 > r.since THEN r.retries
    ELSE :most_retries::integer END AS broken
FROM hooktide.deliveries AS d JOIN rules AS r ON r.id = d.project_id

-- name: delivered
WITH made AS (
    SELECT delivery_id, max(number) AS last,
        count(*) FILTER (WHERE status BETWEEN 200 AND 299) AS good,
        max(number) FILTER (WHERE status BETWEEN 200 AND 299) AS good_at
    FROM hooktide.attempts GROUP BY delivery_id)
SELECT 'dlv' AS kind, d.id, CASE
    WHEN d.state = 'delivered' THEN made.good IS DISTINCT FROM 1 OR made.good_at <> made.last
    ELSE coalesce(made.good, 0) <> 0 END AS broken
FROM hooktide.deliveries AS d LEFT JOIN made ON made.delivery_id = d.id

-- name: claims
-- A claim's token is an id, made when it was claimed. Who claims and who disables may be two
-- processes, at the same moment.
SELECT 'dlv' AS kind, q.id, (ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
    AND q.claim >> 11 > coalesce(ep.disabled_at, ep.removed_at) + :slack::bigint AS broken
FROM hooktide.queue AS q JOIN hooktide.endpoints AS ep ON ep.id = q.endpoint_id
WHERE q.state = 'pending' AND q.claim <> 0

-- name: leases
SELECT 'dlv' AS kind, id, coalesce(due_at, 0) > CASE
    WHEN claim <> 0 THEN (claim >> 11) + :lease::bigint + :slack::bigint
    ELSE :now::bigint + :longest_rest::bigint END AS broken
FROM hooktide.queue WHERE state = 'pending'

-- name: sent_after
SELECT 'dlv' AS kind, d.id, d.id >> 11 > coalesce(ep.disabled_at, ep.removed_at) + :slack::bigint
    OR EXISTS (
        SELECT 1 FROM hooktide.attempts AS a WHERE a.delivery_id = d.id
            AND a.started_at > coalesce(ep.disabled_at, ep.removed_at) + :slack::bigint) AS broken
FROM hooktide.deliveries AS d JOIN hooktide.endpoints AS ep ON ep.id = d.endpoint_id
WHERE ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL

-- name: failing
-- What ended within the slack of something else may have been counted before it or after it. A 410,
-- or a chat's word for one, disables and does not count; enabling counts anew. There may be more in the count than in the log
-- where the log does not go back to the endpoint's first delivery, or to what began its run.
WITH ended AS (
    SELECT endpoint_id, max(ended_at) AS delivered_at FROM hooktide.ended
    WHERE state = 'delivered' AND origin <> 'test' GROUP BY endpoint_id),
known AS MATERIALIZED (
    SELECT ep.id, ep.failing, coalesce(ended.delivered_at, 0) - :slack::bigint AS earliest,
        greatest(ended.delivered_at, ep.changed_at) + :slack::bigint AS latest,
        ep.created_at >= r.whole_since OR coalesce(ended.delivered_at >= r.run_since, FALSE) AS whole
    FROM hooktide.endpoints AS ep
    JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, whole_since bigint, run_since bigint)
        ON r.id = ep.project_id
    LEFT JOIN ended ON ended.endpoint_id = ep.id
    WHERE ep.removed_at IS NULL),
run AS (
    SELECT known.id, count(*) FILTER (WHERE d.ended_at > known.latest) AS least, count(*) AS most
    FROM known JOIN hooktide.ended AS d ON d.endpoint_id = known.id
    WHERE d.state = 'failed' AND d.origin <> 'test' AND d.reason <> 'status 410'
        AND d.reason NOT LIKE 'gone: %'
        AND d.ended_at >= known.earliest
    GROUP BY known.id)
SELECT 'ep' AS kind, known.id, known.failing < coalesce(run.least, 0)
    OR known.whole AND known.failing > coalesce(run.most, 0) AS broken
FROM known LEFT JOIN run ON run.id = known.id

-- name: auto_disable
WITH failed AS (
    SELECT endpoint_id, max(ended_at) AS failed_at FROM hooktide.ended
    WHERE state = 'failed' AND origin <> 'test' GROUP BY endpoint_id)
SELECT 'ep' AS kind, ep.id, r.disable_after > 0 AND ep.failing >= r.disable_after
    AND coalesce(failed.failed_at > r.since, FALSE) AS broken
FROM hooktide.endpoints AS ep
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, disable_after integer)
    ON r.id = ep.project_id
LEFT JOIN failed ON failed.endpoint_id = ep.id
WHERE ep.disabled_reason = '' AND ep.removed_at IS NULL

-- name: gaps
-- One that began before the last one ended is the 2xx of an attempt that had lost its lease.
WITH rules AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, gaps jsonb))
SELECT 'dlv' AS kind, d.id, b.started_at - a.started_at - a.duration
        < (r.gaps ->> least(a.number - 1, :most_retries::integer))::bigint
    AND NOT (b.started_at < a.started_at + a.duration
        AND coalesce(b.status BETWEEN 200 AND 299, FALSE)) AS broken
FROM hooktide.attempts AS b
JOIN hooktide.attempts AS a ON a.delivery_id = b.delivery_id AND a.number = b.number - 1
JOIN hooktide.deliveries AS d ON d.id = b.delivery_id JOIN rules AS r ON r.id = d.project_id
WHERE b.number >= 2 AND a.started_at > r.since

-- name: endpoint_limits
-- Those that are there now and were added before one were there when it was added.
WITH ranked AS (
    SELECT id, project_id, created_at, row_number() OVER (PARTITION BY account_id ORDER BY id) AS place
    FROM hooktide.endpoints WHERE removed_at IS NULL)
SELECT 'ep' AS kind, ep.id, ep.place > r.endpoints AS broken
FROM ranked AS ep
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, endpoints bigint)
    ON r.id = ep.project_id
WHERE ep.created_at > r.since AND r.endpoints IS NOT NULL

-- name: hourly_limits
SELECT 'acc' AS kind, u.account_id AS id, r.per_hour < (
    SELECT sum(w.deliveries) FROM hooktide.usage AS w
    WHERE w.account_id = u.account_id AND w.minute BETWEEN u.minute - 60 AND u.minute) AS broken
FROM hooktide.usage AS u JOIN hooktide.accounts AS acc ON acc.id = u.account_id
JOIN jsonb_to_recordset(:projects::jsonb) AS r (id bigint, since bigint, per_hour bigint)
    ON r.id = acc.project_id
WHERE (u.minute - 60) * 60000000 > r.since AND r.per_hour IS NOT NULL

-- name: idempotency
SELECT 'evt' AS kind, i.event_id AS id, e.id IS NULL
    OR (e.project_id, e.deliveries) <> (i.project_id, i.deliveries)
    OR count(*) OVER (PARTITION BY i.event_id) > 1 AS broken
FROM hooktide.idempotency AS i LEFT JOIN hooktide.events AS e ON e.id = i.event_id

-- name: ownership
SELECT 'evt' AS kind, e.id, acc.project_id IS DISTINCT FROM e.project_id AS broken
FROM hooktide.events AS e LEFT JOIN hooktide.accounts AS acc ON acc.id = e.account_id
UNION ALL
SELECT 'dlv', d.id, (d.account_id, d.account_id, d.project_id, d.project_id)
    IS DISTINCT FROM (e.account_id, ep.account_id, e.project_id, ep.project_id)
FROM hooktide.deliveries AS d JOIN hooktide.events AS e ON e.id = d.event_id
LEFT JOIN hooktide.endpoints AS ep ON ep.id = d.endpoint_id
UNION ALL
SELECT 'dlv', a.delivery_id, a.account_id <> d.account_id
FROM hooktide.attempts AS a JOIN hooktide.deliveries AS d ON d.id = a.delivery_id
UNION ALL
SELECT 'ep', ep.id, acc.project_id IS DISTINCT FROM ep.project_id
FROM hooktide.endpoints AS ep LEFT JOIN hooktide.accounts AS acc ON acc.id = ep.account_id
UNION ALL
SELECT 'key', k.id, acc.project_id IS DISTINCT FROM k.project_id
FROM hooktide.keys AS k LEFT JOIN hooktide.accounts AS acc ON acc.id = k.account_id
WHERE k.account_id IS NOT NULL
UNION ALL
SELECT 'bin', b.id, acc.project_id IS DISTINCT FROM b.project_id
FROM hooktide.bins AS b LEFT JOIN hooktide.accounts AS acc ON acc.id = b.account_id
WHERE b.account_id IS NOT NULL
UNION ALL
SELECT 'rpl', r.id, (ep.account_id, ep.project_id) IS DISTINCT FROM (r.account_id, r.project_id)
FROM hooktide.replays AS r LEFT JOIN hooktide.endpoints AS ep ON ep.id = r.endpoint_id
