-- Statistics for health checks and charts. PostgreSQL plans them once for all values, and would expect
-- next to nothing of ``project_id = coalesce(:project_id, project_id)``: nested loops, and sorts on
-- disk. Of ``coalesce(project_id = :project_id, TRUE)`` it expects half, and adds up in memory.

-- name: chart
SELECT (minute - :first::bigint) / :step::bigint AS place, sum(accepted)::bigint, sum(held)::bigint, sum(delivered)::bigint, sum(failed)::bigint,
    sum(discarded)::bigint, sum(attempts)::bigint, sum(failed_attempts)::bigint
FROM {schema}project_minutes
WHERE minute >= :first AND minute < :end::bigint AND coalesce(project_id = :project_id::bigint, TRUE)
GROUP BY place

-- name: chart_of_hours
SELECT (hour - :first::bigint) / :step::bigint AS place, sum(accepted)::bigint, sum(held)::bigint, sum(delivered)::bigint, sum(failed)::bigint,
    sum(discarded)::bigint, sum(attempts)::bigint, sum(failed_attempts)::bigint
FROM {schema}project_hours
WHERE hour >= :first AND hour < :end::bigint AND coalesce(project_id = :project_id::bigint, TRUE)
GROUP BY place

-- name: chart_of_endpoints
-- For an account's endpoints, or for one.
SELECT (hour - :first::bigint) / :step::bigint AS place, 0, 0, sum(delivered)::bigint, sum(failed)::bigint,
    sum(discarded)::bigint, sum(attempts)::bigint, sum(failed_attempts)::bigint
FROM {schema}endpoint_hours
WHERE hour >= :first AND hour < :end::bigint AND endpoint_id IN (
    SELECT id FROM {schema}endpoints WHERE account_id = :account_id
        AND coalesce(project_id = :project_id::bigint, TRUE) AND coalesce(id = :endpoint_id::bigint, TRUE))
GROUP BY place

-- name: histograms
SELECT subject_id, hour, latency, delay FROM {schema}histograms

-- name: causes
-- By cause: how many endpoints fail, how many of them were disabled, their backlog, and how many
-- attempts failed.
WITH counted AS (
    SELECT endpoint_id, sum(waiting)::bigint AS waiting FROM {schema}waiting_counts GROUP BY endpoint_id),
harmed AS (
    SELECT h.last_cause AS cause, ep.disabled_reason <> '' AS disabled,
        CASE WHEN ep.disabled_reason = '' THEN coalesce(c.waiting, 0) ELSE 0 END AS waiting
    FROM {schema}endpoints AS ep JOIN {schema}endpoint_health AS h ON h.endpoint_id = ep.id
    LEFT JOIN counted AS c ON c.endpoint_id = ep.id
    WHERE ep.id IN (
        SELECT id FROM {schema}endpoints WHERE disabled_reason <> ''
        UNION SELECT endpoint_id FROM {schema}endpoint_health WHERE failing_since IS NOT NULL)
    AND h.last_cause <> '' AND ep.removed_at IS NULL
    AND ep.disabled_reason <> :by_hand AND ep.disabled_reason <> :by_provider
    AND coalesce(ep.project_id = :project_id::bigint, TRUE)
    AND coalesce(ep.account_id = :account_id::bigint, TRUE)
    AND coalesce(ep.id = :endpoint_id::bigint, TRUE))
SELECT cause, sum(endpoints)::bigint, sum(disabled)::bigint, sum(waiting)::bigint, sum(attempts)::bigint
FROM (
    SELECT cause, 1 AS endpoints, CASE WHEN disabled THEN 1 ELSE 0 END AS disabled, waiting, 0 AS attempts
    FROM harmed
    UNION ALL
    SELECT cause, 0, 0, 0, attempts FROM {schema}endpoint_causes AS n
    WHERE n.hour >= :hour AND coalesce(n.project_id = :project_id::bigint, TRUE)
        AND coalesce(n.account_id = :account_id::bigint, TRUE)
        AND coalesce(n.endpoint_id = :endpoint_id::bigint, TRUE)) AS found
GROUP BY cause ORDER BY 4 DESC, 3 DESC, 2 DESC, 5 DESC, 1 LIMIT :limit

-- name: busiest
-- Added up before accounts are joined: there are many hours and few accounts.
SELECT n.account_id, a.project_id, n.attempts, n.failed_attempts, n.delivered, n.failed
FROM (
    SELECT account_id, sum(attempts)::bigint AS attempts,
        sum(failed_attempts)::bigint AS failed_attempts, sum(delivered)::bigint AS delivered,
        sum(failed)::bigint AS failed
    FROM {schema}account_hours
    WHERE hour >= :hour AND coalesce(project_id = :project_id::bigint, TRUE)
        AND coalesce(account_id = :account_id::bigint, TRUE)
    GROUP BY account_id) AS n
JOIN {schema}accounts AS a ON a.id = n.account_id AND a.removed_at IS NULL
ORDER BY 3 DESC, 1 LIMIT :limit

-- name: slowest
SELECT n.endpoint_id, e.account_id, e.project_id, n.attempts, n.mean, n.slowest
FROM (
    SELECT endpoint_id, sum(attempts)::bigint AS attempts,
        (sum(duration) / sum(attempts))::bigint AS mean, max(slowest) AS slowest
    FROM {schema}endpoint_hours
    WHERE hour >= :hour AND attempts > 0 AND coalesce(project_id = :project_id::bigint, TRUE)
        AND coalesce(account_id = :account_id::bigint, TRUE)
    GROUP BY endpoint_id) AS n
JOIN {schema}endpoints AS e ON e.id = n.endpoint_id AND e.removed_at IS NULL
ORDER BY 5 DESC, 1 LIMIT :limit

-- name: troubled
-- Failing endpoints come first.
SELECT id, project_id, account_id, url, event_types, name, description, headers, disabled_reason,
    disabled_at, failing, created_at, changed_at, kind, sealed_url, rests_until, rest_reason,
    filter, filtered_at, channels, channels_at, reference, metadata, rate_limit, burst, retry_delays,
    timeout
FROM {schema}endpoints
WHERE id IN (
    SELECT id FROM {schema}endpoints WHERE failing > 0
    UNION SELECT id FROM {schema}endpoints WHERE disabled_reason <> ''
    UNION SELECT endpoint_id FROM {schema}endpoint_health WHERE failing_since IS NOT NULL)
    AND disabled_reason <> :by_hand AND disabled_reason <> :by_provider AND removed_at IS NULL
    AND coalesce(project_id = :project_id::bigint, TRUE)
    AND coalesce(account_id = :account_id::bigint, TRUE)
    AND (:cause::text IS NULL OR EXISTS (
        SELECT 1 FROM {schema}endpoint_health AS h WHERE h.endpoint_id = endpoints.id AND h.last_cause = :cause::text))
ORDER BY disabled_reason <> '', CASE WHEN disabled_reason = '' THEN failing ELSE disabled_at END DESC,
    coalesce((SELECT failing_since FROM {schema}endpoint_health WHERE endpoint_id = endpoints.id), 0), id
LIMIT :limit

-- name: count_disabled
SELECT count(*) FROM {schema}endpoints
WHERE disabled_reason <> '' AND disabled_reason <> :by_hand AND disabled_reason <> :by_provider
    AND disabled_at >= :since AND removed_at IS NULL
    AND coalesce(project_id = :project_id::bigint, TRUE)
    AND coalesce(account_id = :account_id::bigint, TRUE)

-- name: health
SELECT h.endpoint_id, coalesce(sum(n.attempts)::bigint, 0), coalesce(sum(n.failed_attempts)::bigint, 0),
    coalesce(sum(n.delivered)::bigint, 0), coalesce(sum(n.failed)::bigint, 0), sum(n.duration)::bigint, max(n.slowest),
    h.last_delivered_at, h.failing_since, h.last_failed_at, h.last_cause
FROM {schema}endpoint_health AS h
LEFT JOIN {schema}endpoint_hours AS n ON n.endpoint_id = h.endpoint_id AND n.hour >= :hour
WHERE h.endpoint_id = ANY(:ids::bigint[])
    AND coalesce(h.project_id = :project_id::bigint, TRUE)
    AND coalesce(h.account_id = :account_id::bigint, TRUE)
GROUP BY h.endpoint_id

-- name: account_usage
SELECT (SELECT count(*) FROM {schema}endpoints WHERE account_id = :account_id AND removed_at IS NULL),
    (SELECT coalesce(sum(deliveries), 0)::bigint FROM {schema}usage
        WHERE account_id = :account_id AND minute >= :since)

-- name: drop_minutes
DELETE FROM {schema}project_minutes WHERE minute < :before

-- name: drop_hours
DELETE FROM {schema}endpoint_hours WHERE hour < :before

-- name: drop_project_hours
DELETE FROM {schema}project_hours WHERE hour < :before

-- name: drop_account_hours
DELETE FROM {schema}account_hours WHERE hour < :before

-- name: drop_causes
DELETE FROM {schema}endpoint_causes WHERE hour < :before

-- name: drop_histograms
DELETE FROM {schema}histograms WHERE hour < :before
