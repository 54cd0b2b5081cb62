-- The statements of the PostgreSQL store, in the order of an event's life. ":name" stands for a
-- value; where many rows are written at once it is an array, one item a row.

-- name: known_keys
-- Which of these idempotency keys were used before, and for what.
SELECT i.project_id, i.key, i.digest, i.event_id, i.deliveries
FROM unnest(:project_ids::bigint[], :keys::text[]) AS wanted (project_id, key)
JOIN hooktide.idempotency AS i USING (project_id, key)

-- name: add_events
INSERT INTO hooktide.events
    (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::text[], :5::text[], :6::boolean[],
    :7::bigint[], :8::integer[], :9::bytea[])

-- name: add_deliveries
INSERT INTO hooktide.queue
    (id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim, reason)
SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, 0, due_at, claim, reason
FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[], :6::text[],
    :7::text[], :8::bigint[], :9::bigint[], :10::text[])
    AS v (id, event_id, endpoint_id, account_id, project_id, origin, state, due_at, claim, reason)

-- name: claimable
-- The oldest due deliveries of each wanted endpoint, with their events; those that another process
-- is claiming right now are passed over. Reads only as far as it claims: the index leads to an
-- endpoint's first due delivery, however many there are.
SELECT q.id, q.endpoint_id, q.attempts, q.origin,
    e.id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.payload
FROM unnest(:endpoints::bigint[], :stale_before::bigint[]) AS wanted (endpoint_id, stale_before)
CROSS JOIN LATERAL (
    SELECT d.id, d.event_id, d.endpoint_id, d.attempts, d.origin FROM hooktide.queue AS d
    WHERE d.endpoint_id = wanted.endpoint_id AND d.state = 'pending' AND d.claim = 0
        AND d.due_at <= :now AND d.id >= wanted.stale_before
    ORDER BY d.due_at LIMIT :each FOR UPDATE SKIP LOCKED) AS q
JOIN hooktide.events AS e ON e.id = q.event_id

-- name: claim
-- The lease is the due time: a claimed delivery is due again when its lease ends, so a worker that
-- dies gives back its deliveries by doing nothing.
UPDATE hooktide.queue SET claim = :token, due_at = :lease_ends_at WHERE id = ANY(:ids::bigint[])

-- name: next_due
SELECT ep.id, first.due_at
FROM unnest(:endpoints::bigint[]) AS wanted (endpoint_id)
JOIN hooktide.endpoints AS ep
    ON ep.id = wanted.endpoint_id AND ep.disabled_reason = '' AND ep.removed_at IS NULL
CROSS JOIN LATERAL (
    SELECT due_at FROM hooktide.queue
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim = 0 AND id >= ep.stale_before
    ORDER BY due_at LIMIT 1) AS first

-- name: due_heads
-- Hops from endpoint to endpoint along the index; never reads a backlog.
WITH RECURSIVE heads (endpoint_id) AS (
    (SELECT endpoint_id FROM hooktide.queue WHERE state = 'pending' AND claim = 0
        ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM hooktide.queue AS d
        WHERE d.state = 'pending' AND d.claim = 0 AND d.endpoint_id > heads.endpoint_id
        ORDER BY d.endpoint_id LIMIT 1)
    FROM heads WHERE heads.endpoint_id IS NOT NULL)
SELECT heads.endpoint_id, first.due_at
FROM heads CROSS JOIN LATERAL (
    SELECT due_at FROM hooktide.queue
    WHERE endpoint_id = heads.endpoint_id AND state = 'pending' AND claim = 0
    ORDER BY due_at LIMIT 1) AS first

-- name: give_back_expired
-- Claims whose lease has ended: whoever held them is gone, or will find its token outdated.
UPDATE hooktide.queue SET claim = 0, due_at = :now
WHERE id IN (
    SELECT id FROM hooktide.queue
    WHERE state = 'pending' AND claim <> 0 AND due_at <= :ended
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING endpoint_id

-- name: give_back
UPDATE hooktide.queue AS q SET claim = 0, due_at = :now
FROM unnest(:ids::bigint[], :tokens::bigint[]) AS held (id, token)
WHERE q.id = held.id AND q.claim = held.token
RETURNING q.id, q.endpoint_id

-- name: settle
-- Fenced: only the holder of the claim moves the delivery, and only then the attempt is kept. What
-- has ended leaves the queue; what would be tried again although its endpoint was disabled or
-- removed meanwhile ends here too. Endpoints where a delivery ended well have no failures in a row
-- any more. Returns the deliveries that were moved.
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
    LEFT JOIN hooktide.endpoints AS stale
        ON v.wanted = 'pending' AND stale.id = v.endpoint_id
        AND (v.id < stale.stale_before OR stale.disabled_reason <> ''
            OR stale.removed_at IS NOT NULL)),
gone AS (
    DELETE FROM hooktide.queue AS q USING v
    WHERE q.id = v.id AND q.claim = v.token AND v.state <> 'pending'
    RETURNING q.id, q.event_id, q.endpoint_id, q.account_id, q.project_id, q.origin, v.state,
        v.attempts, v.ended_at, v.reason),
ended AS (
    INSERT INTO hooktide.ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, ended_at, reason)
    SELECT * FROM gone),
kept AS (
    UPDATE hooktide.queue AS q SET attempts = v.attempts, due_at = v.due_at, claim = 0
    FROM v WHERE q.id = v.id AND q.claim = v.token AND v.state = 'pending'
    RETURNING q.id, q.account_id),
moved AS (SELECT id, account_id FROM gone UNION ALL SELECT id, account_id FROM kept),
made AS (
    INSERT INTO hooktide.attempts (delivery_id, number, account_id, started_at, duration, status,
        error, detail, request_head, response_head, response_body, response_truncated)
    SELECT v.id, v.number, moved.account_id, v.started_at, v.duration, v.status, v.error, v.detail,
        v.request_head, v.response_head, v.response_body, v.response_truncated
    FROM v JOIN moved USING (id) WHERE v.number IS NOT NULL),
well AS (
    UPDATE hooktide.endpoints SET failing = 0 WHERE id = ANY(:20::bigint[]) AND failing > 0
        AND id IN (SELECT endpoint_id FROM gone))
SELECT id FROM moved

-- name: settle_late
-- The lease was lost, but the receiver said 2xx: that is the truth, whoever holds the claim now.
WITH gone AS (
    DELETE FROM hooktide.queue WHERE id = :id AND state = 'pending'
    RETURNING id, event_id, endpoint_id, account_id, project_id, origin, attempts),
ended AS (
    INSERT INTO hooktide.ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, ended_at, reason)
    SELECT id, event_id, endpoint_id, account_id, project_id, origin, 'delivered', attempts + 1,
        :ended_at, ''
    FROM gone RETURNING attempts),
failed AS (
    UPDATE hooktide.ended SET state = 'delivered', attempts = attempts + 1, ended_at = :ended_at,
        reason = ''
    WHERE id = :id AND state = 'failed' RETURNING attempts)
SELECT attempts FROM ended UNION ALL SELECT attempts FROM failed

-- name: add_attempts
INSERT INTO hooktide.attempts (delivery_id, number, account_id, started_at, duration, status, error,
    detail, request_head, response_head, response_body, response_truncated)
SELECT * FROM unnest(:1::bigint[], :2::integer[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::integer[], :7::text[], :8::text[], :9::bytea[], :10::bytea[], :11::bytea[], :12::boolean[])

-- name: failing_endpoints
-- Of the endpoints where a delivery ended, those whose count may change; locked until the commit.
SELECT id, failing FROM hooktide.endpoints
WHERE id = ANY(:well::bigint[]) AND failing > 0 OR id = ANY(:ill::bigint[])
ORDER BY id FOR NO KEY UPDATE

-- name: set_failing
UPDATE hooktide.endpoints AS e SET failing = v.failing
FROM unnest(:1::bigint[], :2::bigint[]) AS v (id, failing) WHERE e.id = v.id

-- name: disable_endpoint
UPDATE hooktide.endpoints SET disabled_reason = :reason, disabled_at = :now, changed_at = :now,
    stale_before = :stale_before, stale_reason = :stale_reason
WHERE id = :id AND disabled_reason = '' AND removed_at IS NULL

-- name: enable_endpoint
UPDATE hooktide.endpoints SET disabled_reason = '', disabled_at = NULL, failing = 0,
    changed_at = :now, stale_before = :stale_before
WHERE id = :id AND disabled_reason <> '' AND removed_at IS NULL

-- name: stale
-- Pending deliveries that an endpoint's disable or removal has overtaken, and are not in flight.
-- While it is disabled nothing is to wait for it, whenever it was accepted.
SELECT q.id, ep.stale_reason FROM hooktide.endpoints AS ep
CROSS JOIN LATERAL (
    SELECT id FROM hooktide.queue
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim = 0
        AND (id < ep.stale_before OR ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
    LIMIT :limit FOR UPDATE SKIP LOCKED) AS q
WHERE ep.stale_before > 0 LIMIT :limit

-- name: stale_held
SELECT q.id, ep.stale_reason FROM hooktide.endpoints AS ep
CROSS JOIN LATERAL (
    SELECT id FROM hooktide.queue
    WHERE account_id = ep.account_id AND state = 'held' AND endpoint_id = ep.id
        AND (id < ep.stale_before OR ep.disabled_reason <> '' OR ep.removed_at IS NOT NULL)
    LIMIT :limit FOR UPDATE SKIP LOCKED) AS q
WHERE ep.stale_before > 0 LIMIT :limit

-- name: discard
WITH gone AS (
    DELETE FROM hooktide.queue AS q USING unnest(:ids::bigint[], :reasons::text[]) AS v (id, reason)
    WHERE q.id = v.id
    RETURNING q.id, event_id, endpoint_id, account_id, project_id, origin, attempts, v.reason)
INSERT INTO hooktide.ended (id, event_id, endpoint_id, account_id, project_id, origin, state,
    attempts, ended_at, reason)
SELECT id, event_id, endpoint_id, account_id, project_id, origin, 'discarded', attempts, :now::bigint,
    reason
FROM gone

-- name: usage_window
SELECT account_id, minute, deliveries FROM hooktide.usage
WHERE account_id = ANY(:account_ids::bigint[]) AND minute >= :since

-- name: set_usage
INSERT INTO hooktide.usage (account_id, minute, deliveries)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[])
ON CONFLICT (account_id, minute) DO UPDATE SET deliveries = excluded.deliveries

-- name: drop_usage
DELETE FROM hooktide.usage WHERE minute < :before

-- name: held_accounts
-- Hops from account to account along the index.
WITH RECURSIVE held (account_id) AS (
    (SELECT account_id FROM hooktide.queue WHERE state = 'held' ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT q.account_id FROM hooktide.queue AS q
        WHERE q.state = 'held' AND q.account_id > held.account_id ORDER BY q.account_id LIMIT 1)
    FROM held WHERE held.account_id IS NOT NULL)
SELECT account_id FROM held WHERE account_id IS NOT NULL

-- name: held_of_account
SELECT id, endpoint_id FROM hooktide.queue
WHERE account_id = :account_id AND state = 'held' ORDER BY id LIMIT :limit

-- name: let_go
UPDATE hooktide.queue SET state = 'pending', due_at = :now, reason = ''
WHERE id = ANY(:ids::bigint[]) AND state = 'held'

-- name: counts
SELECT (SELECT count(*) FROM hooktide.queue WHERE state = 'pending'),
    (SELECT count(*) FROM hooktide.queue WHERE state = 'held')

-- name: routes_of_account
-- Everything fan-out needs to know of accounts.
SELECT a.id, a.project_id, p.config, a.plan, a.version, p.version,
    coalesce((SELECT '[' || string_agg('[' || e.id || ',' || e.event_types || ']', ',') || ']'
        FROM hooktide.endpoints AS e
        WHERE e.account_id = a.id AND e.disabled_reason = '' AND e.removed_at IS NULL), '[]')
FROM hooktide.accounts AS a JOIN hooktide.projects AS p ON p.id = a.project_id
WHERE a.id = ANY(:ids::bigint[]) AND a.removed_at IS NULL

-- name: projects
SELECT id, config, created_at, changed_at FROM hooktide.projects WHERE removed_at IS NULL

-- name: all_projects
SELECT id, config FROM hooktide.projects

-- name: put_project
INSERT INTO hooktide.projects (id, name, config, created_at, changed_at)
VALUES (:id, :name, :config, :now, :now)
ON CONFLICT (name) WHERE removed_at IS NULL DO UPDATE SET config = excluded.config,
    changed_at = excluded.changed_at, version = projects.version + 1
RETURNING id

-- name: remove_project
-- The row stays until its log is past retention.
UPDATE hooktide.projects SET removed_at = :now WHERE id = :id

-- name: add_account
INSERT INTO hooktide.accounts (id, project_id, reference, name, plan, created_at)
VALUES (:id, :project_id, :reference, :name, :plan, :now)

-- name: accounts
SELECT id, project_id, reference, name, plan, created_at FROM hooktide.accounts

-- name: search_accounts
SELECT id, project_id, reference, name, plan, created_at FROM hooktide.accounts
WHERE (lower(reference) COLLATE "C" >= lower(:low) AND lower(reference) COLLATE "C" < lower(:high)
        OR lower(name) COLLATE "C" >= lower(:low) AND lower(name) COLLATE "C" < lower(:high))
    AND removed_at IS NULL AND project_id = coalesce(:project_id::bigint, project_id)
    AND id = coalesce(:account_id::bigint, id)
ORDER BY reference COLLATE "C", id LIMIT :limit

-- name: change_account
UPDATE hooktide.accounts SET name = :name, plan = :plan WHERE id = :id

-- name: remove_account
UPDATE hooktide.accounts SET removed_at = :now WHERE id = :id AND removed_at IS NULL

-- name: add_endpoint
INSERT INTO hooktide.endpoints (id, project_id, account_id, url, event_types, name, description, headers,
    kind, sealed_url, created_at, changed_at)
VALUES (:id, :project_id, :account_id, :url, :event_types, :name, :description, :headers, :kind,
    :sealed_url, :now, :now)

-- name: endpoints
SELECT id, project_id, account_id, url, event_types, name, description, headers, disabled_reason,
    disabled_at, failing, created_at, changed_at, kind, sealed_url
FROM hooktide.endpoints

-- name: count_endpoints
SELECT count(*) FROM hooktide.endpoints WHERE account_id = :account_id AND removed_at IS NULL

-- name: change_endpoint
UPDATE hooktide.endpoints SET url = :url, event_types = :event_types, name = :name,
    description = :description, headers = :headers, kind = :kind, sealed_url = :sealed_url,
    changed_at = :now
WHERE id = :id

-- name: remove_endpoint
-- The row stays, without what it held in confidence: the log's deliveries refer to it.
UPDATE hooktide.endpoints SET removed_at = :now, changed_at = :now, headers = :no_headers,
    sealed_url = NULL, stale_before = :stale_before, stale_reason = 'endpoint removed'
WHERE id = :id AND removed_at IS NULL

-- name: add_secret
INSERT INTO hooktide.secrets (endpoint_id, created_at, sealed)
VALUES (:endpoint_id, :created_at, :sealed)

-- name: secrets_of
SELECT sealed, created_at, retires_at FROM hooktide.secrets
WHERE endpoint_id = :endpoint_id ORDER BY created_at DESC

-- name: retire_current
UPDATE hooktide.secrets SET retires_at = :retires_at
WHERE endpoint_id = :endpoint_id AND retires_at IS NULL

-- name: forget_secrets
DELETE FROM hooktide.secrets WHERE endpoint_id = :endpoint_id

-- name: forget_retired
DELETE FROM hooktide.secrets WHERE retires_at <= :now RETURNING endpoint_id

-- name: events
SELECT id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload
FROM hooktide.events

-- name: events_of
SELECT e.id, e.project_id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.deliveries,
    e.payload
FROM hooktide.events AS e
WHERE e.id = ANY(:ids::bigint[]) AND e.id >= :first AND e.id <= :last
    AND e.project_id = coalesce(:project_id::bigint, e.project_id)
    AND e.account_id = coalesce(:account_id::bigint, e.account_id)

-- name: deliveries
SELECT d.id, d.project_id, d.account_id, d.event_id, d.endpoint_id, e.type, d.origin, d.state,
    d.attempts, d.due_at, d.ended_at, d.reason
FROM hooktide.deliveries AS d JOIN hooktide.events AS e ON e.id = d.event_id

-- name: attempts
SELECT number, started_at, duration, status, error, detail, request_head, response_head,
    response_body, response_truncated
FROM hooktide.attempts WHERE delivery_id = :delivery_id ORDER BY number

-- name: last_attempts
-- The newest attempt of each of these deliveries; their first and last lead to their days.
SELECT DISTINCT ON (a.delivery_id) a.delivery_id, a.number, a.started_at, a.duration, a.status,
    a.error, a.detail, a.request_head, a.response_head, a.response_body, a.response_truncated
FROM hooktide.attempts AS a JOIN hooktide.accounts AS c ON c.id = a.account_id
WHERE a.delivery_id = ANY(:ids::bigint[]) AND a.delivery_id >= :first AND a.delivery_id <= :last
    AND c.project_id = coalesce(:project_id::bigint, c.project_id)
    AND a.account_id = coalesce(:account_id::bigint, a.account_id)
ORDER BY a.delivery_id, a.number DESC

-- name: old_events
-- Events past their retention that have nothing pending or held any more.
SELECT id FROM hooktide.events AS e
WHERE project_id = :project_id AND id < :before AND NOT EXISTS (
    SELECT 1 FROM hooktide.queue AS q WHERE q.event_id = e.id)
ORDER BY id LIMIT :limit

-- name: drop_attempts_of_events
DELETE FROM hooktide.attempts WHERE delivery_id IN (
    SELECT id FROM hooktide.ended WHERE event_id = ANY(:ids::bigint[]))

-- name: drop_deliveries_of_events
DELETE FROM hooktide.ended WHERE event_id = ANY(:ids::bigint[])

-- name: drop_keys_of_events
DELETE FROM hooktide.idempotency WHERE event_id = ANY(:ids::bigint[])

-- name: drop_events
DELETE FROM hooktide.events WHERE id = ANY(:ids::bigint[])

-- name: looked_failed
-- The next deliveries of an endpoint, each with its event and whether a replay of what failed is to
-- send that: not what was delivered or still waits, nor what this replay has sent already.
WITH looked AS MATERIALIZED (
    SELECT id, event_id, state, origin FROM hooktide.ended
    WHERE endpoint_id = :endpoint_id AND id > :after AND id <= :upto ORDER BY id LIMIT :look)
SELECT d.id, d.event_id, e.type, CASE WHEN d.state = 'failed' AND d.origin <> 'test' THEN NOT EXISTS (
    SELECT 1 FROM hooktide.deliveries AS x
    WHERE x.event_id = d.event_id AND x.endpoint_id = :endpoint_id
        AND (x.state IN ('pending', 'held', 'delivered') OR x.origin = 'replay' AND x.id > :replay_id))
    ELSE FALSE END
FROM looked AS d JOIN hooktide.events AS e ON e.id = d.event_id
ORDER BY d.id

-- name: looked_missed
-- The next events of an account, and whether a replay of what an endpoint missed is to send each: not
-- tests, nor what was ever sent to it.
WITH looked AS MATERIALIZED (
    SELECT id, type FROM hooktide.events
    WHERE account_id = :account_id AND id > :after AND id <= :upto ORDER BY id LIMIT :look)
SELECT e.id, e.id, e.type, NOT EXISTS (
    SELECT 1 FROM hooktide.deliveries AS x WHERE x.event_id = e.id AND (x.origin = 'test'
        OR x.endpoint_id = :endpoint_id
            AND (x.state <> 'discarded' OR x.origin = 'replay' AND x.id > :replay_id)))
FROM looked AS e
ORDER BY e.id

-- name: replay_backlog
SELECT count(*) FROM (
    SELECT 1 FROM hooktide.queue
    WHERE endpoint_id = :endpoint_id AND state = 'pending' AND claim = 0 AND due_at <= :now
    LIMIT :limit) AS due

-- name: add_replay
INSERT INTO hooktide.replays (id, project_id, account_id, endpoint_id, what, since, until, event_id, state,
    reason, counted, at_least, made, looked_to)
VALUES (:id, :project_id, :account_id, :endpoint_id, :what, :since, :until, :event_id, 'running',
    '', :counted, :at_least, 0, :looked_to)
ON CONFLICT (endpoint_id) WHERE state = 'running' DO NOTHING
RETURNING id

-- name: replays
SELECT id, project_id, account_id, endpoint_id, what, since, until, event_id, state, reason,
    counted, at_least, made, looked_to, ended_at
FROM hooktide.replays

-- name: running_replays
SELECT id FROM hooktide.replays WHERE state = 'running' ORDER BY id

-- name: move_replay
UPDATE hooktide.replays SET looked_to = :looked_to, made = made + :made, state = :state, reason = :reason,
    ended_at = :ended_at
WHERE id = :id

-- name: cancel_replay
UPDATE hooktide.replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE id = :id AND state = 'running'

-- name: cancel_replays
UPDATE hooktide.replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE endpoint_id = :endpoint_id AND state = 'running'

-- name: drop_replays
DELETE FROM hooktide.replays WHERE project_id = :project_id AND id < :before AND state <> 'running'

-- name: add_key
INSERT INTO hooktide.keys (id, digest, scope, project_id, account_id, name, last4, created_at)
VALUES (:id, :digest, :scope, :project_id, :account_id, :name, :last4, :created_at)

-- name: keys
SELECT id, scope, project_id, account_id, name, last4, created_at, used_at, revoked_at
FROM hooktide.keys

-- name: revoke_key
UPDATE hooktide.keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :id

-- name: revoke_keys_of_account
UPDATE hooktide.keys SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL
RETURNING id

-- name: revoke_keys_of_project
UPDATE hooktide.keys SET revoked_at = :now WHERE project_id = :id AND revoked_at IS NULL

-- name: touch_key
UPDATE hooktide.keys SET used_at = :used_at WHERE id = :id AND coalesce(used_at, 0) < :used_at

-- name: add_person
INSERT INTO hooktide.people (id, name, folded, role, project_id, password, created_at)
VALUES (:id, :name, :folded, :role, :project_id, '', :now)

-- name: people
SELECT id, name, role, project_id, password, created_at, seen_at FROM hooktide.people WHERE removed_at IS NULL

-- name: count_owners
-- Those who own all projects.
SELECT count(*) FROM hooktide.people WHERE role = 'owner' AND project_id IS NULL AND removed_at IS NULL

-- name: change_person
UPDATE hooktide.people SET name = :name, folded = :folded, role = :role, project_id = :project_id,
    password = :password
WHERE id = :id

-- name: remove_person
UPDATE hooktide.people SET removed_at = :now, password = '' WHERE id = :id

-- name: remove_people_of_project
UPDATE hooktide.people SET removed_at = :now, password = '' WHERE project_id = :id AND removed_at IS NULL

-- name: touch_person
UPDATE hooktide.people SET seen_at = :now WHERE id = :id AND coalesce(seen_at, 0) < :now

-- name: add_login_link
INSERT INTO hooktide.login_links (digest, person_id, expires_at) VALUES (:digest, :person_id, :expires_at)

-- name: take_login_link
DELETE FROM hooktide.login_links WHERE digest = :digest AND expires_at > :now RETURNING person_id

-- name: forget_login_links
DELETE FROM hooktide.login_links WHERE person_id = :person_id

-- name: drop_login_links
DELETE FROM hooktide.login_links WHERE expires_at <= :now

-- name: add_session
INSERT INTO hooktide.sessions (digest, person_id, key_id, created_at, expires_at)
VALUES (:digest, :person_id, :key_id, :now, :expires_at)

-- name: find_session
SELECT person_id, key_id, expires_at FROM hooktide.sessions WHERE digest = :digest AND expires_at > :now

-- name: end_session
DELETE FROM hooktide.sessions WHERE digest = :digest

-- name: end_sessions
DELETE FROM hooktide.sessions WHERE person_id = :person_id

-- name: drop_sessions
DELETE FROM hooktide.sessions WHERE expires_at <= :now

-- name: add_change
INSERT INTO hooktide.changes (id, project_id, account_id, who, what, subject, detail)
VALUES (:id, :project_id, :account_id, :who, :what, :subject, :detail)

-- name: changes
SELECT id, project_id, account_id, who, what, subject, detail FROM hooktide.changes

-- name: drop_changes
DELETE FROM hooktide.changes WHERE id < :before

-- name: add_minutes
-- In one order everywhere: no deadlock.
INSERT INTO hooktide.project_minutes AS n (project_id, minute, accepted, held, delivered, failed,
    attempts, failed_attempts)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[])
ON CONFLICT (minute, project_id) DO UPDATE SET accepted = n.accepted + excluded.accepted,
    held = n.held + excluded.held, delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts

-- name: add_hours
INSERT INTO hooktide.endpoint_hours AS n (endpoint_id, hour, project_id, account_id, delivered,
    failed, attempts, failed_attempts, duration, slowest)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[],
    :6::bigint[], :7::bigint[], :8::bigint[], :9::bigint[], :10::bigint[])
ON CONFLICT (endpoint_id, hour) DO UPDATE SET delivered = n.delivered + excluded.delivered,
    failed = n.failed + excluded.failed, attempts = n.attempts + excluded.attempts,
    failed_attempts = n.failed_attempts + excluded.failed_attempts,
    duration = n.duration + excluded.duration, slowest = greatest(n.slowest, excluded.slowest)

-- name: add_health
-- Whoever comes first or last, a failure counts that came after the last success, the first of them.
INSERT INTO hooktide.endpoint_health AS h (endpoint_id, project_id, account_id, last_delivered_at,
    failing_since)
SELECT * FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[], :4::bigint[], :5::bigint[])
ON CONFLICT (endpoint_id) DO UPDATE SET
    last_delivered_at = greatest(h.last_delivered_at, excluded.last_delivered_at),
    failing_since = least(
        CASE WHEN h.failing_since > coalesce(greatest(h.last_delivered_at, excluded.last_delivered_at), 0)
            THEN h.failing_since END,
        CASE WHEN excluded.failing_since
            > coalesce(greatest(h.last_delivered_at, excluded.last_delivered_at), 0)
            THEN excluded.failing_since END)

-- name: health
SELECT h.endpoint_id, coalesce(sum(n.attempts)::bigint, 0), coalesce(sum(n.failed_attempts)::bigint, 0),
    coalesce(sum(n.delivered)::bigint, 0), coalesce(sum(n.failed)::bigint, 0), sum(n.duration)::bigint, max(n.slowest),
    h.last_delivered_at, h.failing_since
FROM hooktide.endpoint_health AS h
LEFT JOIN hooktide.endpoint_hours AS n ON n.endpoint_id = h.endpoint_id AND n.hour >= :hour
WHERE h.endpoint_id = ANY(:ids::bigint[])
    AND h.project_id = coalesce(:project_id::bigint, h.project_id)
    AND h.account_id = coalesce(:account_id::bigint, h.account_id)
GROUP BY h.endpoint_id

-- name: chart
SELECT (minute - :first::bigint) / :step::bigint AS place, sum(accepted)::bigint, sum(held)::bigint, sum(delivered)::bigint, sum(failed)::bigint,
    sum(attempts)::bigint, sum(failed_attempts)::bigint
FROM hooktide.project_minutes
WHERE minute >= :first AND minute < :end::bigint AND project_id = coalesce(:project_id::bigint, project_id)
GROUP BY place

-- name: busiest
SELECT n.account_id, n.project_id, sum(n.attempts)::bigint AS attempts, sum(n.failed_attempts)::bigint,
    sum(n.delivered)::bigint, sum(n.failed)::bigint
FROM hooktide.endpoint_hours AS n JOIN hooktide.accounts AS a ON a.id = n.account_id AND a.removed_at IS NULL
WHERE n.hour >= :hour AND n.project_id = coalesce(:project_id::bigint, n.project_id)
    AND n.account_id = coalesce(:account_id::bigint, n.account_id)
GROUP BY n.account_id, n.project_id ORDER BY 3 DESC, 1 LIMIT :limit

-- name: slowest
SELECT n.endpoint_id, n.account_id, n.project_id, sum(n.attempts)::bigint, (sum(n.duration) / sum(n.attempts))::bigint,
    max(n.slowest)
FROM hooktide.endpoint_hours AS n JOIN hooktide.endpoints AS e ON e.id = n.endpoint_id AND e.removed_at IS NULL
WHERE n.hour >= :hour AND n.attempts > 0 AND n.project_id = coalesce(:project_id::bigint, n.project_id)
    AND n.account_id = coalesce(:account_id::bigint, n.account_id)
GROUP BY n.endpoint_id, n.account_id, n.project_id ORDER BY 5 DESC, 1 LIMIT :limit

-- name: troubled
-- Which of the endpoints are; those that fail come first.
WHERE id IN (
    SELECT id FROM hooktide.endpoints WHERE failing > 0
    UNION SELECT id FROM hooktide.endpoints WHERE disabled_reason <> ''
    UNION SELECT endpoint_id FROM hooktide.endpoint_health WHERE failing_since IS NOT NULL)
    AND disabled_reason <> :by_hand AND removed_at IS NULL
    AND project_id = coalesce(:project_id::bigint, project_id)
    AND account_id = coalesce(:account_id::bigint, account_id)
ORDER BY disabled_reason <> '', CASE WHEN disabled_reason = '' THEN failing ELSE disabled_at END DESC,
    coalesce((SELECT failing_since FROM hooktide.endpoint_health WHERE endpoint_id = endpoints.id), 0), id
LIMIT :limit

-- name: account_usage
SELECT (SELECT count(*) FROM hooktide.endpoints WHERE account_id = :account_id AND removed_at IS NULL),
    (SELECT coalesce(sum(deliveries), 0)::bigint FROM hooktide.usage
        WHERE account_id = :account_id AND minute >= :since),
    (SELECT count(*) FROM (
        SELECT 1 FROM hooktide.queue
        WHERE account_id = :account_id AND state = 'held' LIMIT :most) AS held),
    (SELECT count(*) FROM (
        SELECT 1 FROM hooktide.endpoints AS ep CROSS JOIN LATERAL (
            SELECT 1 FROM hooktide.queue AS q
            WHERE q.endpoint_id = ep.id AND q.state = 'pending' AND q.claim = 0 LIMIT :most) AS of_one
        WHERE ep.account_id = :account_id LIMIT :most) AS waiting)
    + (SELECT count(*) FROM hooktide.queue
        WHERE state = 'pending' AND claim <> 0 AND account_id = :account_id)

-- name: drop_minutes
DELETE FROM hooktide.project_minutes WHERE minute < :before

-- name: drop_hours
DELETE FROM hooktide.endpoint_hours WHERE hour < :before

-- name: add_bin
INSERT INTO hooktide.bins (id, token, project_id, account_id, script, created_at, expires_at)
VALUES (:id, :token, :project_id, :account_id, :script, :created_at, :expires_at)

-- name: count_bins
SELECT count(*) FROM hooktide.bins
WHERE project_id IS NOT DISTINCT FROM :project_id AND account_id IS NOT DISTINCT FROM :account_id
    AND expires_at > :now

-- name: get_bin
SELECT id, token, project_id, account_id, script, created_at, expires_at FROM hooktide.bins
WHERE token = :token AND expires_at > :now

-- name: change_bin
UPDATE hooktide.bins SET script = :script WHERE token = :token

-- name: drop_expired_bins
DELETE FROM hooktide.bins WHERE expires_at <= :now

-- name: add_bin_request
INSERT INTO hooktide.bin_requests (id, bin_id, method, path, headers, body, body_size, answered,
    received_at, verdict, reason)
VALUES (:id, :bin_id, :method, :path, :headers, :body, :body_size, :answered, :received_at,
    :verdict, :reason)

-- name: trim_bin
DELETE FROM hooktide.bin_requests WHERE bin_id = :bin_id AND id <= coalesce((
    SELECT id FROM hooktide.bin_requests WHERE bin_id = :bin_id ORDER BY id DESC LIMIT 1
    OFFSET :keep), 0)

-- name: bin_requests
SELECT id, bin_id, method, path, headers, body, body_size, answered, received_at, verdict, reason
FROM hooktide.bin_requests

-- name: remove_bin
DELETE FROM hooktide.bins WHERE id = :id

-- name: clear_bin
DELETE FROM hooktide.bin_requests WHERE bin_id = :bin_id

-- name: add_happening
-- Only where the built-in project is, and nothing of that itself.
INSERT INTO hooktide.happenings (key, project_id, type, account_id, endpoint_id, at, about)
SELECT :key::text, a.project_id, :type::text, a.id, :endpoint_id::bigint, :at::bigint, :about::text
FROM hooktide.accounts AS a
JOIN hooktide.projects AS p ON p.name = 'hooktide' AND p.removed_at IS NULL AND p.id <> a.project_id
WHERE a.id = :account_id::bigint
ON CONFLICT (key) DO NOTHING

-- name: happenings
SELECT project_id, key, type, account_id, endpoint_id, at, about FROM hooktide.happenings
ORDER BY at LIMIT :limit

-- name: forget_happenings
DELETE FROM hooktide.happenings WHERE key = ANY(:keys::text[])

-- name: any_secret
SELECT sealed FROM hooktide.secrets LIMIT 1

-- name: sizes
-- A delivery knows how many attempts it has, so the attempts themselves are not read.
SELECT p.id, p.name, coalesce(e.events, 0), coalesce(d.deliveries, 0), coalesce(d.attempts, 0),
    coalesce(e.payload_bytes, 0), e.oldest >> 11
FROM hooktide.projects AS p
LEFT JOIN (
    SELECT project_id, count(*) AS events, sum(octet_length(payload))::bigint AS payload_bytes,
        min(id) AS oldest
    FROM hooktide.events GROUP BY project_id) AS e ON e.project_id = p.id
LEFT JOIN (
    SELECT project_id, count(*) AS deliveries, sum(attempts)::bigint AS attempts
    FROM hooktide.deliveries GROUP BY project_id) AS d ON d.project_id = p.id
WHERE p.removed_at IS NULL OR e.events > 0 ORDER BY p.name, p.id
