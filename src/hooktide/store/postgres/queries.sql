-- The statements of the PostgreSQL store, in the order of an event's life. ":name" stands for a
-- value; when many rows are written at once, it is an array with one item per row.

-- name: known_keys
-- Which of these idempotency keys were used before, and for what.
SELECT i.project_id, i.key, i.digest, i.event_id, i.deliveries
FROM unnest(:project_ids::bigint[], :keys::text[]) AS wanted (project_id, key)
JOIN {schema}idempotency AS i USING (project_id, key)

-- name: add_events
INSERT INTO {schema}events
    (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload,
    channels, tags)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::text[], :5::text[], :6::boolean[],
    :7::bigint[], :8::integer[], :9::bytea[], :10::text[], :11::text[])

-- name: add_deliveries
INSERT INTO {schema}queue
    (id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim, reason)
SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, 0, due_at, claim, reason
FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[], :6::text[],
    :7::text[], :8::bigint[], :9::bigint[], :10::text[])
    AS v (id, event_id, endpoint_id, account_id, project_id, origin, state, due_at, claim, reason)

-- name: claimable
-- The oldest due deliveries of each wanted endpoint, with their events; those that another process
-- is claiming right now are skipped. Reads only as far as it claims: the index leads to an
-- endpoint's first due delivery, however many there are. For an endpoint that rests, only deliveries
-- that ignore rests are claimed.
SELECT q.id, q.endpoint_id, q.attempts, q.origin, q.due_at,
    e.id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.payload
FROM unnest(:endpoints::bigint[], :stale_before::bigint[], :resting::boolean[])
    AS wanted (endpoint_id, stale_before, rests)
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT d.id, d.event_id, d.endpoint_id, d.attempts, d.origin, d.due_at
        FROM {schema}queue AS d
        WHERE d.endpoint_id = wanted.endpoint_id AND d.state = 'pending' AND d.claim = 0
            AND d.due_at <= :now AND d.id >= wanted.stale_before AND NOT wanted.rests
        ORDER BY d.due_at LIMIT :each FOR UPDATE SKIP LOCKED) AS any_of_it
    UNION ALL
    SELECT * FROM (
        SELECT d.id, d.event_id, d.endpoint_id, d.attempts, d.origin, d.due_at
        FROM {schema}queue AS d
        WHERE d.endpoint_id = wanted.endpoint_id AND d.state = 'pending' AND d.claim = 0
            AND d.origin = 'resend' AND d.attempts = 0
            AND d.due_at <= :now AND d.id >= wanted.stale_before AND wanted.rests
        ORDER BY d.due_at LIMIT :each FOR UPDATE SKIP LOCKED) AS resent) AS q
JOIN {schema}events AS e ON e.id = q.event_id

-- name: claim
-- The lease is the due time: a claimed delivery is due again when its lease ends, so a worker that
-- dies releases its deliveries by doing nothing.
UPDATE {schema}queue SET claim = :token, due_at = :lease_ends_at WHERE id = ANY(:ids::bigint[])

-- name: next_due
-- When the first delivery of each endpoint may be claimed: not before the end of a rest, unless it
-- ignores rests.
SELECT ep.id, CASE WHEN ep.rests_until > first.due_at AND NOT EXISTS (
        SELECT 1 FROM {schema}queue AS q
        WHERE q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0 AND q.origin = 'resend'
            AND q.attempts = 0 AND q.id >= ep.stale_before)
    THEN ep.rests_until ELSE first.due_at END
FROM unnest(:endpoints::bigint[]) AS wanted (endpoint_id)
JOIN {schema}endpoints AS ep
    ON ep.id = wanted.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
CROSS JOIN LATERAL (
    SELECT due_at FROM {schema}queue
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim = 0 AND id >= ep.stale_before
    ORDER BY due_at LIMIT 1) AS first

-- name: due_heads
-- Hops from endpoint to endpoint along the index; never reads a backlog.
WITH RECURSIVE heads (endpoint_id) AS (
    (SELECT endpoint_id FROM {schema}queue WHERE state = 'pending' AND claim = 0
        ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM {schema}queue AS d
        WHERE d.state = 'pending' AND d.claim = 0 AND d.endpoint_id > heads.endpoint_id
        ORDER BY d.endpoint_id LIMIT 1)
    FROM heads WHERE heads.endpoint_id IS NOT NULL)
SELECT heads.endpoint_id, CASE WHEN ep.rests_until > first.due_at AND NOT EXISTS (
        SELECT 1 FROM {schema}queue AS q
        WHERE q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0 AND q.origin = 'resend'
            AND q.attempts = 0)
    THEN ep.rests_until ELSE first.due_at END
FROM heads LEFT JOIN {schema}endpoints AS ep ON ep.id = heads.endpoint_id
CROSS JOIN LATERAL (
    SELECT due_at FROM {schema}queue
    WHERE endpoint_id = heads.endpoint_id AND state = 'pending' AND claim = 0
    ORDER BY due_at LIMIT 1) AS first

-- name: release_expired_claims
-- Claims whose lease has ended: their holder is gone, or will find its token outdated.
UPDATE {schema}queue SET claim = 0, due_at = :now
WHERE id IN (
    SELECT id FROM {schema}queue
    WHERE state = 'pending' AND claim <> 0 AND due_at <= :ended
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING endpoint_id

-- name: release_claims
-- They keep their places before newer deliveries.
UPDATE {schema}queue AS q SET claim = 0, due_at = least(:now::bigint, held.due_at)
FROM unnest(:ids::bigint[], :tokens::bigint[], :due_at::bigint[]) AS held (id, token, due_at)
WHERE q.id = held.id AND q.claim = held.token
RETURNING q.id, q.endpoint_id

-- name: settle
-- Fenced: only the holder of the claim updates the delivery, and the attempt is stored only then.
-- Deliveries that ended leave the queue. Those that would be retried end here too if their endpoint
-- was disabled or deleted meanwhile. A successful delivery resets its endpoint's consecutive
-- failures, and a rest that was over by then. Returns the updated deliveries, with the project of
-- those that were discarded. Values that a delivery's row does not have are passed along with it: a
-- second join would compare each row with all others.
WITH v AS MATERIALIZED (
    SELECT v.*,
        CASE WHEN stale.id IS NULL THEN v.wanted ELSE 'discarded' END AS state,
        CASE WHEN stale.id IS NULL THEN v.ends_at ELSE v.made_at END AS ended_at,
        coalesce(stale.stale_reason, v.why) AS reason
    FROM unnest(:1::bigint[], :2::bigint[], :3::text[], :4::integer[], :5::bigint[], :6::bigint[],
        :7::text[], :8::bigint[], :9::bigint[], :10::integer[], :11::bigint[], :12::bigint[],
        :13::integer[], :14::text[], :15::text[], :16::bytea[], :17::bytea[], :18::bytea[],
        :19::boolean[])
        AS v (id, token, wanted, attempts, due_at, ends_at, why, endpoint_id, made_at, number,
            started_at, duration, status, error, detail, request_head, response_head, response_body,
            response_truncated)
    LEFT JOIN {schema}endpoints AS stale
        ON v.wanted = 'pending' AND stale.id = v.endpoint_id
        AND (v.id < stale.stale_before OR stale.disabled_reason <> ''
            OR stale.removed_at IS NOT NULL)),
gone AS (
    DELETE FROM {schema}queue AS q USING v
    WHERE q.id = v.id AND q.claim = v.token AND v.state <> 'pending'
    RETURNING q.id, q.event_id, q.endpoint_id, q.account_id, q.project_id, q.origin, v.state,
        v.attempts, v.ended_at, v.reason, v.number, v.started_at, v.duration, v.status, v.error,
        v.detail, v.request_head, v.response_head, v.response_body, v.response_truncated),
ended AS (
    INSERT INTO {schema}ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, ended_at, reason)
    SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, ended_at,
        reason
    FROM gone),
kept AS (
    UPDATE {schema}queue AS q SET attempts = v.attempts, due_at = v.due_at, claim = 0
    FROM v WHERE q.id = v.id AND q.claim = v.token AND v.state = 'pending'
    RETURNING q.id, q.account_id, v.number, v.started_at, v.duration, v.status, v.error, v.detail,
        v.request_head, v.response_head, v.response_body, v.response_truncated),
moved AS (
    SELECT id, number, account_id, started_at, duration, status, error, detail, request_head,
        response_head, response_body, response_truncated
    FROM gone
    UNION ALL
    SELECT id, number, account_id, started_at, duration, status, error, detail, request_head,
        response_head, response_body, response_truncated
    FROM kept),
made AS (
    INSERT INTO {schema}attempts (delivery_id, number, account_id, started_at, duration, status,
        error, detail, request_head, response_head, response_body, response_truncated)
    SELECT * FROM moved WHERE number IS NOT NULL),
well AS (
    UPDATE {schema}endpoints AS ep SET failing = 0,
        rests_until = CASE WHEN ep.rests_until <= last.at THEN 0 ELSE ep.rests_until END,
        rest_span = CASE WHEN ep.rests_until <= last.at THEN 0 ELSE ep.rest_span END
    FROM (SELECT endpoint_id, max(started_at) AS at FROM v WHERE wanted = 'delivered'
        GROUP BY endpoint_id) AS last
    WHERE ep.id = ANY(:20::bigint[]) AND ep.id = last.endpoint_id
        AND (ep.failing > 0 OR ep.rests_until > 0 AND ep.rests_until <= last.at)
        AND ep.id IN (SELECT endpoint_id FROM gone))
SELECT id, NULL::bigint FROM kept
UNION ALL
SELECT id, CASE WHEN state = 'discarded' THEN project_id END FROM gone

-- name: settle_late
-- The lease was lost, but the receiver answered 2xx, which is final, no matter which process holds
-- the claim now, or whether someone stopped the delivery or erased its payload while the attempt was in flight.
WITH gone AS (
    DELETE FROM {schema}queue WHERE id = :id AND state = 'pending'
    RETURNING id, event_id, endpoint_id, account_id, project_id, origin, attempts),
ended AS (
    INSERT INTO {schema}ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, ended_at, reason)
    SELECT id, event_id, endpoint_id, account_id, project_id, origin, 'delivered', attempts + 1,
        :ended_at, ''
    FROM gone RETURNING attempts),
failed AS (
    UPDATE {schema}ended SET state = 'delivered', attempts = attempts + 1, ended_at = :ended_at,
        reason = ''
    WHERE id = :id AND (state = 'failed' OR state = 'discarded' AND reason IN ('stopped by hand', 'payload erased'))
    RETURNING attempts)
SELECT attempts FROM ended UNION ALL SELECT attempts FROM failed

-- name: add_attempts
INSERT INTO {schema}attempts (delivery_id, number, account_id, started_at, duration, status, error,
    detail, request_head, response_head, response_body, response_truncated)
SELECT * FROM unnest(:1::bigint[], :2::integer[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::integer[], :7::text[], :8::text[], :9::bytea[], :10::bytea[], :11::bytea[], :12::boolean[])

-- name: failing_endpoints
-- The endpoints of ended deliveries whose count or rest may change. Locked until the commit.
SELECT id, failing, rests_until, rest_reason, rest_began_at, rest_span, rest_lifted_at
FROM {schema}endpoints
WHERE id = ANY(:well::bigint[]) AND (failing > 0 OR rests_until > 0) OR id = ANY(:ill::bigint[])
ORDER BY id FOR NO KEY UPDATE

-- name: resting
SELECT id, rests_until FROM {schema}endpoints
WHERE rests_until > :now AND rests_until > 0 AND disabled_reason = '' AND removed_at IS NULL

-- name: set_failing
UPDATE {schema}endpoints AS e SET failing = v.failing
FROM unnest(:1::bigint[], :2::bigint[]) AS v (id, failing) WHERE e.id = v.id

-- name: enable_endpoint
-- Everything in the queue now was created before this mark; no clock is needed. From now on,
-- processes generate larger ids for the endpoint, because they read the mark together with its
-- destination.
UPDATE {schema}endpoints SET disabled_reason = '', disabled_at = NULL, failing = 0,
    changed_at = :now, stale_before = coalesce((SELECT max(id) FROM {schema}queue), 0) + 1
WHERE id = :id AND disabled_reason <> '' AND removed_at IS NULL

-- name: stale
-- Pending deliveries from before their endpoint was disabled or deleted that are not in flight.
-- While an endpoint is disabled, nothing may be pending for it, whenever it was accepted.
SELECT q.id, ep.stale_reason FROM {schema}endpoints AS ep
CROSS JOIN LATERAL (
    SELECT id FROM {schema}queue
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim = 0
        AND (id < ep.stale_before OR ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
    LIMIT :limit FOR UPDATE SKIP LOCKED) AS q
WHERE ep.stale_before > 0 LIMIT :limit

-- name: stale_held
SELECT q.id, ep.stale_reason FROM {schema}endpoints AS ep
CROSS JOIN LATERAL (
    SELECT id FROM {schema}queue
    WHERE account_id = ep.account_id AND state = 'held' AND endpoint_id = ep.id
        AND (id < ep.stale_before OR ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
    LIMIT :limit FOR UPDATE SKIP LOCKED) AS q
WHERE ep.stale_before > 0 LIMIT :limit

-- name: discard
WITH gone AS (
    DELETE FROM {schema}queue AS q USING unnest(:ids::bigint[], :reasons::text[]) AS v (id, reason)
    WHERE q.id = v.id
    RETURNING q.id, event_id, endpoint_id, account_id, project_id, origin, attempts, v.reason)
INSERT INTO {schema}ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
    attempts, ended_at, reason)
SELECT id, event_id, endpoint_id, account_id, project_id, origin, 'discarded', attempts, :now::bigint,
    reason
FROM gone
RETURNING endpoint_id, account_id, project_id

-- name: usage_window
SELECT account_id, minute, deliveries FROM {schema}usage
WHERE account_id = ANY(:account_ids::bigint[]) AND minute >= :since

-- name: set_usage
INSERT INTO {schema}usage (account_id, minute, deliveries)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[])
ON CONFLICT (account_id, minute) DO UPDATE SET deliveries = excluded.deliveries

-- name: held_accounts
-- Hops from account to account along the index.
WITH RECURSIVE held (account_id) AS (
    (SELECT account_id FROM {schema}queue WHERE state = 'held' ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT q.account_id FROM {schema}queue AS q
        WHERE q.state = 'held' AND q.account_id > held.account_id ORDER BY q.account_id LIMIT 1)
    FROM held WHERE held.account_id IS NOT NULL)
SELECT account_id FROM held WHERE account_id IS NOT NULL

-- name: held_of_account
SELECT id, endpoint_id FROM {schema}queue
WHERE account_id = :account_id AND state = 'held' ORDER BY id LIMIT :limit

-- name: unhold
UPDATE {schema}queue SET state = 'pending', due_at = :now, reason = ''
WHERE id = ANY(:ids::bigint[]) AND state = 'held'

-- name: backlog
-- The backlog of enabled endpoints: the totals, then the endpoints with the largest backlogs.
-- Deliveries from before an endpoint was disabled no longer count, although they are discarded
-- gradually. An endpoint's count is the sum of its rows.
WITH counted AS MATERIALIZED (
    SELECT c.endpoint_id, sum(c.waiting)::bigint AS waiting, sum(c.retries)::bigint AS retries,
        sum(c.held)::bigint AS held
    FROM {schema}waiting_counts AS c
    WHERE coalesce(c.project_id = :project_id::bigint, TRUE)
        AND coalesce(c.account_id = :account_id::bigint, TRUE)
        AND coalesce(c.endpoint_id = :endpoint_id::bigint, TRUE)
    GROUP BY c.endpoint_id),
live AS MATERIALIZED (
    SELECT c.endpoint_id, ep.account_id, ep.project_id, c.waiting - stale.waiting AS waiting,
        c.retries - stale.retries AS retries, c.held - stale_held.held AS held
    FROM counted AS c JOIN {schema}endpoints AS ep
        ON ep.id = c.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting, count(*) FILTER (WHERE q.attempts > 0) AS retries
        FROM {schema}queue AS q
        WHERE ep.stale_before > 0 AND q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0
            AND q.id < ep.stale_before) AS stale
    CROSS JOIN LATERAL (
        SELECT count(*) AS held FROM {schema}queue AS q
        WHERE ep.stale_before > 0 AND c.held > 0 AND q.account_id = ep.account_id AND q.state = 'held'
            AND q.id < ep.stale_before AND q.endpoint_id = ep.id) AS stale_held)
SELECT NULL::bigint, NULL::bigint, NULL::bigint, coalesce(sum(waiting), 0)::bigint,
    coalesce(sum(retries), 0)::bigint, coalesce(sum(held), 0)::bigint, count(*) FILTER (WHERE waiting > 0), (
        SELECT count(*) FROM {schema}queue AS c
        WHERE c.state = 'pending' AND c.claim <> 0
            AND coalesce(c.project_id = :project_id::bigint, TRUE)
            AND coalesce(c.account_id = :account_id::bigint, TRUE)
            AND coalesce(c.endpoint_id = :endpoint_id::bigint, TRUE))
FROM live
UNION ALL
SELECT * FROM (
    SELECT endpoint_id, account_id, project_id, waiting, retries, held, 1::bigint, 0::bigint
    FROM live WHERE waiting > 0 OR held > 0
    ORDER BY waiting DESC, held DESC, endpoint_id LIMIT :limit) AS largest

-- name: oldest_waiting
-- For each endpoint with a backlog, the indexes give the oldest delivery and the one due first.
SELECT min(oldest.id), min(greatest(ep.rests_until, first.due_at))
FROM (
    SELECT c.endpoint_id FROM {schema}waiting_counts AS c
    WHERE coalesce(c.project_id = :project_id::bigint, TRUE)
        AND coalesce(c.account_id = :account_id::bigint, TRUE)
        AND coalesce(c.endpoint_id = :endpoint_id::bigint, TRUE)
    GROUP BY c.endpoint_id HAVING sum(c.waiting) > 0) AS found
JOIN {schema}endpoints AS ep
    ON ep.id = found.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
CROSS JOIN LATERAL (
    SELECT q.id FROM {schema}queue AS q
    WHERE q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0 AND q.id >= ep.stale_before
    ORDER BY q.id LIMIT 1) AS oldest
CROSS JOIN LATERAL (
    SELECT q.due_at FROM {schema}queue AS q
    WHERE q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0 AND q.id >= ep.stale_before
    ORDER BY q.due_at LIMIT 1) AS first

-- name: refused_count
SELECT count(*) FROM {schema}emitted WHERE refused <> ''

-- name: routes_of_account
-- Everything that fan-out needs to know about accounts.
SELECT a.id, a.project_id, p.config, a.plan, a.version, p.version,
    coalesce((SELECT '[' || string_agg('[' || e.id || ',' || e.event_types || ',' || to_json(e.filter) || ',' || e.channels || ']', ',') || ']'
        FROM {schema}endpoints AS e
        WHERE e.account_id = a.id AND e.disabled_reason = '' AND e.removed_at IS NULL), '[]'),
    coalesce((SELECT max(e.stale_before) FROM {schema}endpoints AS e
        WHERE e.account_id = a.id AND e.disabled_reason = '' AND e.removed_at IS NULL), 0)
FROM {schema}accounts AS a JOIN {schema}projects AS p ON p.id = a.project_id
WHERE a.id = ANY(:ids::bigint[]) AND a.removed_at IS NULL

-- name: types_wanted
SELECT wanted.name, count(DISTINCT endpoints.id)
FROM {schema}endpoints, jsonb_array_elements_text(event_types::jsonb) AS wanted (name)
WHERE project_id = :project_id AND removed_at IS NULL
  AND wanted.name = ANY(:types::text[])
GROUP BY wanted.name

-- name: search_accounts
SELECT id, project_id, reference, name, plan, created_at, link_generation, metadata, rate_limit, burst FROM {schema}accounts
WHERE (lower(reference) COLLATE "C" >= lower(:low) AND lower(reference) COLLATE "C" < lower(:high)
        OR lower(name) COLLATE "C" >= lower(:low) AND lower(name) COLLATE "C" < lower(:high))
    AND removed_at IS NULL AND project_id = coalesce(:project_id::bigint, project_id)
    AND id = coalesce(:account_id::bigint, id)
ORDER BY reference COLLATE "C", id LIMIT :limit

-- name: events_of
SELECT e.id, e.project_id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.deliveries,
    e.payload, e.channels, e.tags, e.erased_at
FROM {schema}events AS e
WHERE e.id = ANY(:ids::bigint[]) AND e.id >= :first AND e.id <= :last
    AND e.project_id = coalesce(:project_id::bigint, e.project_id)
    AND e.account_id = coalesce(:account_id::bigint, e.account_id)

-- name: attempts
SELECT number, started_at, duration, status, error, detail, request_head, response_head,
    response_body, response_truncated
FROM {schema}attempts WHERE delivery_id = :delivery_id ORDER BY number

-- name: last_attempts
-- The newest attempt of each of these deliveries. Their first and last ids determine the days to
-- read.
SELECT DISTINCT ON (a.delivery_id) a.delivery_id, a.number, a.started_at, a.duration, a.status,
    a.error, a.detail, a.request_head, a.response_head, a.response_body, a.response_truncated
FROM {schema}attempts AS a JOIN {schema}accounts AS c ON c.id = a.account_id
WHERE a.delivery_id = ANY(:ids::bigint[]) AND a.delivery_id >= :first AND a.delivery_id <= :last
    AND c.project_id = coalesce(:project_id::bigint, c.project_id)
    AND a.account_id = coalesce(:account_id::bigint, a.account_id)
ORDER BY a.delivery_id, a.number DESC

-- name: old_events
-- Events past their retention without pending or held deliveries.
SELECT id FROM {schema}events AS e
WHERE project_id = :project_id AND id < :before AND NOT EXISTS (
    SELECT 1 FROM {schema}queue AS q WHERE q.event_id = e.id)
ORDER BY id LIMIT :limit

-- name: waiting_after
-- Unclaimed deliveries that are not due yet, with the last attempt of each: one page, in index
-- order.
SELECT d.endpoint_id, d.due_at, d.id, d.account_id, d.attempts, coalesce(a.started_at, 0),
    coalesce(a.response_head, ''::bytea)
FROM {schema}queue AS d
LEFT JOIN {schema}attempts AS a
    ON a.delivery_id = d.id AND a.number = d.attempts AND a.account_id = d.account_id
WHERE d.state = 'pending' AND d.claim = 0 AND (d.endpoint_id, d.due_at, d.id) > (:endpoint_id, :due_at, :id)
    AND d.due_at > :instant
ORDER BY d.endpoint_id, d.due_at, d.id LIMIT :limit

-- name: hurry
-- Makes deliveries due now that someone asked to send early.
UPDATE {schema}queue SET due_at = :now
WHERE id = ANY(:ids::bigint[]) AND state = 'pending' AND claim = 0 AND due_at > :now
RETURNING id

-- name: unclaimed
SELECT id FROM {schema}queue
WHERE id = ANY(:ids::bigint[]) AND state = 'pending' AND claim = 0

-- name: stop
WITH gone AS (
    DELETE FROM {schema}queue WHERE id = ANY(:ids::bigint[])
    RETURNING id, event_id, endpoint_id, account_id, project_id, origin, attempts)
INSERT INTO {schema}ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
    attempts, ended_at, reason)
SELECT id, event_id, endpoint_id, account_id, project_id, origin, 'discarded', attempts, :now::bigint,
    :reason::text
FROM gone RETURNING endpoint_id, account_id, project_id, id

-- name: redate
UPDATE {schema}queue AS q SET due_at = v.new
FROM unnest(:ids::bigint[], :old::bigint[], :new::bigint[]) AS v (id, old, new)
WHERE q.id = v.id AND q.due_at = v.old AND q.state = 'pending' AND q.claim = 0
RETURNING q.endpoint_id, q.due_at

-- name: drop_attempts_of_events
DELETE FROM {schema}attempts WHERE delivery_id IN (
    SELECT id FROM {schema}ended WHERE event_id = ANY(:ids::bigint[]))

-- name: drop_deliveries_of_events
DELETE FROM {schema}ended WHERE event_id = ANY(:ids::bigint[])

-- name: looked_failed
-- The next deliveries of an endpoint, each with its event and whether a replay of failed deliveries
-- should send it: not if it was delivered, is pending, or was already sent by this replay.
WITH looked AS MATERIALIZED (
    SELECT id, event_id, state, origin FROM {schema}ended
    WHERE endpoint_id = :endpoint_id AND id > :after AND id <= :upto ORDER BY id LIMIT :look)
SELECT d.id, d.event_id, e.type, CASE WHEN d.state = 'failed' AND d.origin <> 'test' THEN NOT EXISTS (
    SELECT 1 FROM {schema}deliveries AS x
    WHERE x.event_id = d.event_id AND x.endpoint_id = :endpoint_id
        AND (x.state IN ('pending', 'held', 'delivered') OR x.origin = 'replay' AND x.id > :replay_id))
    ELSE FALSE END
FROM looked AS d JOIN {schema}events AS e ON e.id = d.event_id
ORDER BY d.id

-- name: looked_missed
-- The next events of an account, and whether a replay of missed events should send each: not tests,
-- nor events that were ever sent to the endpoint.
WITH looked AS MATERIALIZED (
    SELECT id, type, channels FROM {schema}events
    WHERE account_id = :account_id AND id > :after AND id <= :upto ORDER BY id LIMIT :look)
SELECT e.id, e.id, e.type, NOT EXISTS (
    SELECT 1 FROM {schema}deliveries AS x WHERE x.event_id = e.id AND (x.origin = 'test'
        OR x.endpoint_id = :endpoint_id
            AND (x.state <> 'discarded' OR x.origin = 'replay' AND x.id > :replay_id))), e.channels
FROM looked AS e
ORDER BY e.id

-- name: replay_backlog
SELECT count(*) FROM (
    SELECT 1 FROM {schema}queue
    WHERE endpoint_id = :endpoint_id AND state = 'pending' AND claim = 0 AND due_at <= :now
    LIMIT :limit) AS due

-- name: add_job_items
INSERT INTO {schema}delivery_job_items (job_id, endpoint_id, subject)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[])

-- name: add_payload_expiries
INSERT INTO {schema}payload_expiries (event_id, erase_at)
SELECT * FROM unnest(:1::bigint[], :2::bigint[])

-- name: add_minutes
-- Locked in the same order everywhere, to avoid deadlocks.
INSERT INTO {schema}project_minutes AS n (project_id, minute, accepted, held, delivered, failed,
    discarded, attempts, failed_attempts)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[], :9::bigint[])
ON CONFLICT (minute, project_id) DO UPDATE SET accepted = n.accepted + excluded.accepted,
    held = n.held + excluded.held, delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, discarded = n.discarded + excluded.discarded,
    attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts

-- name: add_project_hours
INSERT INTO {schema}project_hours AS n (project_id, hour, accepted, held, delivered, failed,
    discarded, attempts, failed_attempts)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[], :9::bigint[])
ON CONFLICT (hour, project_id) DO UPDATE SET accepted = n.accepted + excluded.accepted,
    held = n.held + excluded.held, delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, discarded = n.discarded + excluded.discarded,
    attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts

-- name: add_account_hours
INSERT INTO {schema}account_hours AS n (account_id, hour, project_id, delivered, failed, discarded,
    attempts, failed_attempts)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[])
ON CONFLICT (hour, account_id) DO UPDATE SET delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, discarded = n.discarded + excluded.discarded,
    attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts

-- name: add_hours
INSERT INTO {schema}endpoint_hours AS n (endpoint_id, hour, project_id, account_id, delivered,
    failed, discarded, attempts, failed_attempts, duration, slowest)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[], :9::bigint[], :10::bigint[], :11::bigint[])
ON CONFLICT (endpoint_id, hour) DO UPDATE SET delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, discarded = n.discarded + excluded.discarded,
    attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts,
    duration = n.duration + excluded.duration, slowest = greatest(n.slowest, excluded.slowest)

-- name: add_health
-- Rows may arrive in any order: the first failure after the last success counts.
INSERT INTO {schema}endpoint_health AS h (endpoint_id, project_id, account_id, last_delivered_at,
    failing_since, last_failed_at, last_cause)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::text[])
ON CONFLICT (endpoint_id) DO UPDATE SET
    last_delivered_at = greatest(h.last_delivered_at, excluded.last_delivered_at),
    failing_since = least(
        CASE WHEN h.failing_since > coalesce(greatest(h.last_delivered_at, excluded.last_delivered_at), 0)
            THEN h.failing_since END,
        CASE WHEN excluded.failing_since
            > coalesce(greatest(h.last_delivered_at, excluded.last_delivered_at), 0)
            THEN excluded.failing_since END),
    last_cause = CASE WHEN excluded.last_failed_at >= coalesce(h.last_failed_at, 0)
        THEN excluded.last_cause ELSE h.last_cause END,
    last_failed_at = greatest(h.last_failed_at, excluded.last_failed_at)

-- name: add_causes
INSERT INTO {schema}endpoint_causes AS n (endpoint_id, hour, cause, project_id, account_id, attempts)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::text[], :4::bigint[], :5::bigint[], :6::bigint[])
ON CONFLICT (endpoint_id, hour, cause) DO UPDATE SET attempts = n.attempts + excluded.attempts

-- name: set_histograms
INSERT INTO {schema}histograms (subject_id, hour, project_id, account_id, latency, delay)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::text[], :6::text[])
ON CONFLICT (subject_id, hour) DO UPDATE SET latency = excluded.latency, delay = excluded.delay

-- name: drop_key_reports
DELETE FROM {schema}key_reports WHERE seen_at < :before

-- name: erase_emitted
DELETE FROM {schema}emitted AS e USING {schema}accounts AS a, {schema}projects AS p
WHERE a.id = :account_id AND p.id = a.project_id AND e.project = p.name
    AND e.account IN (a.reference, :target) RETURNING e.id

-- name: events_to_erase
SELECT id FROM {schema}events WHERE account_id = :account_id AND id > :after
ORDER BY id LIMIT :limit

-- name: erase_attempts
UPDATE {schema}attempts SET request_head = '', response_head = '', response_body = '', detail = ''
WHERE delivery_id IN (SELECT id FROM {schema}deliveries WHERE event_id = ANY(:ids::bigint[]))
AND (request_head <> '' OR response_head <> '' OR response_body <> '' OR detail <> '')
RETURNING delivery_id

-- name: unsettled_erasure
-- Whether deliveries of the account may still be recorded, or are not in its log yet.
SELECT EXISTS (SELECT 1 FROM {schema}queue AS d WHERE d.state = 'pending' AND d.claim = 0 AND d.endpoint_id IN (SELECT id FROM {schema}endpoints WHERE account_id = :account_id))
    OR EXISTS (SELECT 1 FROM {schema}queue AS d WHERE d.state = 'pending' AND d.claim <> 0 AND d.account_id = :account_id)
    OR EXISTS (SELECT 1 FROM {schema}queue AS d WHERE d.state = 'held' AND d.account_id = :account_id)

-- name: deliveries_of_endpoint
-- Found through an index.
TRUE

-- name: deliveries_of_account
-- Found through an index.
TRUE

-- name: has_tag
tags <> '' AND tags::jsonb @> jsonb_build_array(:tag::text)

-- name: has_channel
channels <> '' AND channels::jsonb @> jsonb_build_array(:channel::text)

-- name: has_metadata
metadata <> '' AND metadata::jsonb ->> :metadata_name::text = :metadata_value::text

-- name: events_of_account
-- Found through an index.
TRUE

-- name: add_terms
INSERT INTO {schema}event_terms (event_id, place, start, project_id, account_id, term, shown)
SELECT * FROM unnest(:1::bigint[], :2::integer[], :3::integer[], :4::bigint[], :5::bigint[], :6::text[], :7::text[])
ON CONFLICT DO NOTHING

-- name: events_of_terms_of_project
-- The newest events with one of these terms.
SELECT DISTINCT t.event_id FROM unnest(:terms::text[]) AS wanted (term)
CROSS JOIN LATERAL (
    SELECT DISTINCT n.event_id FROM {schema}event_terms AS n
    WHERE n.project_id = :owner AND n.term = wanted.term AND n.event_id > :after AND n.event_id < :before
    ORDER BY n.event_id DESC LIMIT :limit) AS t
ORDER BY t.event_id DESC LIMIT :limit

-- name: events_of_terms_of_account
SELECT DISTINCT t.event_id FROM unnest(:terms::text[]) AS wanted (term)
CROSS JOIN LATERAL (
    SELECT DISTINCT n.event_id FROM {schema}event_terms AS n
    WHERE n.account_id = :owner AND n.term = wanted.term AND n.event_id > :after AND n.event_id < :before
    ORDER BY n.event_id DESC LIMIT :limit) AS t
ORDER BY t.event_id DESC LIMIT :limit
