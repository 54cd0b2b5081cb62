-- The statements of the SQLite store, in the order of an event's life. ":rows" stands for as many
-- rows of placeholders as a batch needs; rows that only pad are NULL in their first column.

-- name: known_keys
-- Which of these idempotency keys were used before, and for what.
SELECT json_group_array(json_array(i.project_id, i.key, hex(i.digest), i.event_id, i.deliveries))
FROM json_each(:keys) AS wanted
JOIN idempotency AS i ON i.project_id = wanted.value ->> 0 AND i.key = wanted.value ->> 1

-- name: add_events
INSERT INTO events (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: add_deliveries
INSERT INTO deliveries
    (id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim, reason)
SELECT column1, column2, column3, column4, column5, column6, column7, 0, column8, column9, column10
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: claimable
-- The oldest due deliveries of each wanted endpoint, with their events, as one JSON value: each row
-- that a statement returns costs a turn at the interpreter's lock. Reads only as far as it claims:
-- the index leads to an endpoint's first due delivery, however many there are.
SELECT json_group_array(json_array(
    d.id, d.endpoint_id, d.attempts, d.origin,
    e.id, e.account_id, e.type, e.transition, e.test, e.occurred_at, CAST(e.payload AS TEXT)))
FROM json_each(:endpoints) AS wanted
JOIN endpoints AS ep ON ep.id = wanted.value AND ep.disabled_reason = '' AND ep.removed_at IS NULL
JOIN deliveries AS d ON d.id IN (
    SELECT id FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = wanted.value AND state = 'pending' AND claim <= 0 AND due_at <= :now
        AND id >= ep.stale_before
    ORDER BY due_at LIMIT :each)
JOIN events AS e ON e.id = d.event_id

-- name: claim
-- The lease is the due time: a claimed delivery is due again when its lease ends, so a worker that
-- dies gives back its deliveries by doing nothing.
UPDATE deliveries SET claim = :token, due_at = :lease_ends_at
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: next_due
SELECT json_group_array(json_array(ep.id, (
    SELECT due_at FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = ep.id AND state = 'pending' AND claim <= 0 AND id >= ep.stale_before
    ORDER BY due_at LIMIT 1)))
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
SELECT json_group_array(json_array(endpoint_id, (
    SELECT due_at FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = heads.endpoint_id AND state = 'pending' AND claim <= 0
    ORDER BY due_at LIMIT 1)))
FROM heads WHERE endpoint_id IS NOT NULL

-- name: give_back_expired
-- Claims whose lease has ended: whoever held them is gone, or will find its token outdated.
UPDATE deliveries SET claim = 0, due_at = :now
WHERE id IN (
    SELECT id FROM deliveries INDEXED BY deliveries_leased
    WHERE state = 'pending' AND claim > 0 AND due_at <= :ended ORDER BY due_at LIMIT :limit)
RETURNING endpoint_id

-- name: give_back
UPDATE deliveries SET claim = 0, due_at = :now
WHERE id IN (SELECT value ->> 0 FROM json_each(:claims)) AND state = 'pending'
    AND claim IN (SELECT value ->> 1 FROM json_each(:claims))

-- name: settle
-- Fenced: only the holder of the claim moves the delivery. The token stays behind, negative, to
-- tell those that were moved from those that were not.
UPDATE deliveries SET state = v.column3, attempts = v.column4, due_at = v.column5,
    ended_at = v.column6, reason = v.column7, claim = -v.column2
FROM (VALUES :rows) AS v
WHERE deliveries.id = v.column1 AND deliveries.claim = v.column2

-- name: settle_late
-- The lease was lost, but the receiver said 2xx: that is the truth, whoever holds the claim now.
UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, due_at = NULL, ended_at = :ended_at,
    reason = '', claim = 0
WHERE id = :id AND state IN ('pending', 'failed')
RETURNING attempts

-- name: add_attempts
INSERT INTO attempts (id, started_at, duration, status, error, detail, request_head,
    response_head, response_body, response_truncated)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10
FROM (VALUES :rows) WHERE column1 IS NOT NULL

-- name: failing_endpoints
SELECT id, failing FROM endpoints WHERE failing > 0

-- name: set_failing
UPDATE endpoints SET failing = :failing WHERE id = :id

-- name: disable_endpoint
UPDATE endpoints SET disabled_reason = :reason, disabled_at = :now, changed_at = :now,
    stale_before = :stale_before, stale_reason = :stale_reason
WHERE id = :id AND disabled_reason = '' AND removed_at IS NULL

-- name: enable_endpoint
UPDATE endpoints SET disabled_reason = '', disabled_at = NULL, failing = 0, changed_at = :now
WHERE id = :id AND disabled_reason <> '' AND removed_at IS NULL

-- name: stale
-- Pending deliveries that an endpoint's disable or removal has overtaken, and are not in flight.
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

-- name: usage_window
SELECT minute, deliveries FROM usage WHERE account_id = :account_id AND minute >= :since

-- name: set_usage
INSERT INTO usage (account_id, minute, deliveries)
SELECT column1, column2, column3 FROM (VALUES :rows) WHERE column1 IS NOT NULL
ON CONFLICT (account_id, minute) DO UPDATE SET deliveries = excluded.deliveries

-- name: drop_usage
DELETE FROM usage WHERE minute < :before

-- name: held_accounts
SELECT DISTINCT account_id FROM deliveries INDEXED BY deliveries_held WHERE state = 'held'

-- name: held_of_account
SELECT id, endpoint_id FROM deliveries INDEXED BY deliveries_held
WHERE account_id = :account_id AND state = 'held' ORDER BY id LIMIT :limit

-- name: let_go
UPDATE deliveries SET state = 'pending', due_at = :now, reason = ''
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'held'

-- name: counts
SELECT
    (SELECT count(*) FROM deliveries INDEXED BY deliveries_due
        WHERE state = 'pending' AND claim <= 0)
    + (SELECT count(*) FROM deliveries INDEXED BY deliveries_leased
        WHERE state = 'pending' AND claim > 0),
    (SELECT count(*) FROM deliveries INDEXED BY deliveries_held WHERE state = 'held')

-- name: routes_of_account
-- Everything fan-out needs to know of an account, in one value.
SELECT a.project_id, a.plan, p.config, (
    SELECT json_group_array(json_array(e.id, json(e.event_types))) FROM endpoints AS e
    WHERE e.account_id = a.id AND e.disabled_reason = '' AND e.removed_at IS NULL)
FROM accounts AS a JOIN projects AS p ON p.id = a.project_id WHERE a.id = :id AND a.removed_at IS NULL

-- name: projects
SELECT id, config, created_at, changed_at FROM projects WHERE removed_at IS NULL

-- name: all_projects
SELECT id, config FROM projects

-- name: put_project
INSERT INTO projects (id, name, config, created_at, changed_at)
VALUES (:id, :name, :config, :now, :now)
ON CONFLICT (name) WHERE removed_at IS NULL DO UPDATE SET config = excluded.config, changed_at = excluded.changed_at
RETURNING id

-- name: remove_project
-- The row stays until its log is past retention.
UPDATE projects SET removed_at = :now WHERE id = :id

-- name: add_account
INSERT INTO accounts (id, project_id, reference, name, plan, created_at)
VALUES (:id, :project_id, :reference, :name, :plan, :now)

-- name: accounts
SELECT id, project_id, reference, name, plan, created_at FROM accounts

-- name: search_accounts
SELECT id, project_id, reference, name, plan, created_at FROM accounts
WHERE (reference >= :low COLLATE NOCASE AND reference < :high COLLATE NOCASE
        OR name >= :low COLLATE NOCASE AND name < :high COLLATE NOCASE)
    AND removed_at IS NULL AND project_id = coalesce(:project_id, project_id)
    AND id = coalesce(:account_id, id)
ORDER BY reference, id LIMIT :limit

-- name: change_account
UPDATE accounts SET name = :name, plan = :plan WHERE id = :id

-- name: remove_account
UPDATE accounts SET removed_at = :now WHERE id = :id AND removed_at IS NULL

-- name: add_endpoint
INSERT INTO endpoints (id, project_id, account_id, url, event_types, name, description, headers,
    kind, sealed_url, created_at, changed_at)
VALUES (:id, :project_id, :account_id, :url, :event_types, :name, :description, :headers, :kind,
    :sealed_url, :now, :now)

-- name: endpoints
SELECT id, project_id, account_id, url, event_types, name, description, headers, disabled_reason,
    disabled_at, failing, created_at, changed_at, kind, sealed_url
FROM endpoints

-- name: count_endpoints
SELECT count(*) FROM endpoints WHERE account_id = :account_id AND removed_at IS NULL

-- name: change_endpoint
UPDATE endpoints SET url = :url, event_types = :event_types, name = :name,
    description = :description, headers = :headers, kind = :kind, sealed_url = :sealed_url,
    changed_at = :now
WHERE id = :id

-- name: remove_endpoint
-- The row stays, without what it held in confidence: the log's deliveries refer to it.
UPDATE endpoints SET removed_at = :now, changed_at = :now, headers = :no_headers,
    sealed_url = NULL, stale_before = :stale_before, stale_reason = 'endpoint removed'
WHERE id = :id AND removed_at IS NULL

-- name: add_secret
INSERT INTO secrets (endpoint_id, created_at, sealed) VALUES (:endpoint_id, :created_at, :sealed)

-- name: secrets_of
SELECT sealed, created_at, retires_at FROM secrets
WHERE endpoint_id = :endpoint_id ORDER BY created_at DESC

-- name: retire_current
UPDATE secrets SET retires_at = :retires_at WHERE endpoint_id = :endpoint_id AND retires_at IS NULL

-- name: forget_secrets
DELETE FROM secrets WHERE endpoint_id = :endpoint_id

-- name: forget_retired
DELETE FROM secrets WHERE retires_at <= :now RETURNING endpoint_id

-- name: events
SELECT id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload FROM events

-- name: events_of
SELECT e.id, e.project_id, e.account_id, e.type, e.transition, e.test, e.occurred_at, e.deliveries,
    e.payload
FROM json_each(:ids) AS wanted JOIN events AS e ON e.id = wanted.value
WHERE e.project_id = coalesce(:project_id, e.project_id)
    AND e.account_id = coalesce(:account_id, e.account_id)

-- name: deliveries
SELECT d.id, d.project_id, d.account_id, d.event_id, d.endpoint_id, e.type, d.origin, d.state,
    d.attempts, d.due_at, d.ended_at, d.reason
FROM deliveries AS d JOIN events AS e ON e.id = d.event_id

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
-- Events past their retention that have nothing pending or held any more.
SELECT id FROM events AS e WHERE project_id = :project_id AND id < :before AND NOT EXISTS (
    SELECT 1 FROM deliveries AS d WHERE d.event_id = e.id AND d.state IN ('pending', 'held'))
ORDER BY id LIMIT :limit

-- name: drop_attempts_of_events
DELETE FROM attempts WHERE id IN (
    SELECT a.id FROM deliveries AS d JOIN attempts AS a ON a.id > d.id AND a.id <= d.id + 2047
    WHERE d.event_id IN (SELECT value FROM json_each(:ids)))

-- name: drop_deliveries_of_events
DELETE FROM deliveries WHERE event_id IN (SELECT value FROM json_each(:ids))

-- name: drop_keys_of_events
DELETE FROM idempotency WHERE event_id IN (SELECT value FROM json_each(:ids))

-- name: drop_events
DELETE FROM events WHERE id IN (SELECT value FROM json_each(:ids))

-- name: looked_failed
-- The next deliveries of an endpoint, each with its event and whether a replay of what failed is to
-- send that: not what was delivered or still waits, nor what this replay has sent already.
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
-- The next events of an account, and whether a replay of what an endpoint missed is to send each: not
-- tests, nor what was ever sent to it.
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
            AND (x.state <> 'discarded' OR x.origin = 'replay' AND x.id > :replay_id)))
FROM looked JOIN events AS e ON e.id = looked.id
ORDER BY e.id

-- name: replay_backlog
SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY deliveries_due
    WHERE endpoint_id = :endpoint_id AND state = 'pending' AND claim <= 0 AND due_at <= :now
    LIMIT :limit)

-- name: add_replay
INSERT INTO replays (id, project_id, account_id, endpoint_id, what, since, until, event_id, state,
    reason, counted, at_least, made, looked_to)
VALUES (:id, :project_id, :account_id, :endpoint_id, :what, :since, :until, :event_id, 'running',
    '', :counted, :at_least, 0, :looked_to)
ON CONFLICT (endpoint_id) WHERE state = 'running' DO NOTHING
RETURNING id

-- name: replays
SELECT id, project_id, account_id, endpoint_id, what, since, until, event_id, state, reason,
    counted, at_least, made, looked_to, ended_at
FROM replays

-- name: running_replays
SELECT id FROM replays WHERE state = 'running' ORDER BY id

-- name: move_replay
UPDATE replays SET looked_to = :looked_to, made = made + :made, state = :state, reason = :reason,
    ended_at = :ended_at
WHERE id = :id

-- name: cancel_replay
UPDATE replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE id = :id AND state = 'running'

-- name: cancel_replays
UPDATE replays SET state = 'cancelled', reason = :reason, ended_at = :now
WHERE endpoint_id = :endpoint_id AND state = 'running'

-- name: drop_replays
DELETE FROM replays WHERE project_id = :project_id AND id < :before AND state <> 'running'

-- name: add_key
INSERT INTO keys (id, digest, scope, project_id, account_id, name, last4, created_at)
VALUES (:id, :digest, :scope, :project_id, :account_id, :name, :last4, :created_at)

-- name: keys
SELECT id, scope, project_id, account_id, name, last4, created_at, used_at, revoked_at FROM keys

-- name: revoke_key
UPDATE keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :id

-- name: revoke_keys_of_account
UPDATE keys SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL RETURNING id

-- name: revoke_keys_of_project
UPDATE keys SET revoked_at = :now WHERE project_id = :id AND revoked_at IS NULL

-- name: touch_key
UPDATE keys SET used_at = :used_at WHERE id = :id AND coalesce(used_at, 0) < :used_at

-- name: add_person
INSERT INTO people (id, name, folded, role, project_id, password, created_at)
VALUES (:id, :name, :folded, :role, :project_id, '', :now)

-- name: people
SELECT id, name, role, project_id, password, created_at, seen_at FROM people WHERE removed_at IS NULL

-- name: count_owners
-- Those who own all projects.
SELECT count(*) FROM people WHERE role = 'owner' AND project_id IS NULL AND removed_at IS NULL

-- name: change_person
UPDATE people SET name = :name, folded = :folded, role = :role, project_id = :project_id,
    password = :password
WHERE id = :id

-- name: remove_person
UPDATE people SET removed_at = :now, password = '' WHERE id = :id

-- name: remove_people_of_project
UPDATE people SET removed_at = :now, password = '' WHERE project_id = :id AND removed_at IS NULL

-- name: touch_person
UPDATE people SET seen_at = :now WHERE id = :id AND coalesce(seen_at, 0) < :now

-- name: add_login_link
INSERT INTO login_links (digest, person_id, expires_at) VALUES (:digest, :person_id, :expires_at)

-- name: take_login_link
DELETE FROM login_links WHERE digest = :digest AND expires_at > :now RETURNING person_id

-- name: forget_login_links
DELETE FROM login_links WHERE person_id = :person_id

-- name: drop_login_links
DELETE FROM login_links WHERE expires_at <= :now

-- name: add_session
INSERT INTO sessions (digest, person_id, key_id, created_at, expires_at)
VALUES (:digest, :person_id, :key_id, :now, :expires_at)

-- name: find_session
SELECT person_id, key_id, expires_at FROM sessions WHERE digest = :digest AND expires_at > :now

-- name: end_session
DELETE FROM sessions WHERE digest = :digest

-- name: end_sessions
DELETE FROM sessions WHERE person_id = :person_id

-- name: drop_sessions
DELETE FROM sessions WHERE expires_at <= :now

-- name: add_change
INSERT INTO changes (id, project_id, account_id, who, what, subject, detail)
VALUES (:id, :project_id, :account_id, :who, :what, :subject, :detail)

-- name: changes
SELECT id, project_id, account_id, who, what, subject, detail FROM changes

-- name: drop_changes
DELETE FROM changes WHERE id < :before

-- name: add_minutes
INSERT INTO project_minutes (project_id, minute, accepted, held, delivered, failed, attempts,
    failed_attempts)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (minute, project_id) DO UPDATE SET accepted = accepted + excluded.accepted,
    held = held + excluded.held, delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts

-- name: add_hours
INSERT INTO endpoint_hours (endpoint_id, hour, project_id, account_id, delivered, failed, attempts,
    failed_attempts, duration, slowest)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9
FROM json_each(:rows) WHERE TRUE
ON CONFLICT (endpoint_id, hour) DO UPDATE SET delivered = delivered + excluded.delivered,
    failed = failed + excluded.failed, attempts = attempts + excluded.attempts,
    failed_attempts = failed_attempts + excluded.failed_attempts,
    duration = duration + excluded.duration, slowest = max(slowest, excluded.slowest)

-- name: add_health
-- Whoever comes first or last, a failure counts that came after the last success, the first of them.
INSERT INTO endpoint_health AS h (endpoint_id, project_id, account_id, last_delivered_at, failing_since)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
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
            THEN excluded.failing_since ELSE 9223372036854775807 END), 9223372036854775807)

-- name: health
SELECT h.endpoint_id, coalesce(sum(n.attempts), 0), coalesce(sum(n.failed_attempts), 0),
    coalesce(sum(n.delivered), 0), coalesce(sum(n.failed), 0), sum(n.duration), max(n.slowest),
    h.last_delivered_at, h.failing_since
FROM json_each(:ids) AS wanted JOIN endpoint_health AS h ON h.endpoint_id = wanted.value
LEFT JOIN endpoint_hours AS n ON n.endpoint_id = h.endpoint_id AND n.hour >= :hour
WHERE h.project_id = coalesce(:project_id, h.project_id)
    AND h.account_id = coalesce(:account_id, h.account_id)
GROUP BY h.endpoint_id

-- name: chart
SELECT (minute - :first) / :step AS place, sum(accepted), sum(held), sum(delivered), sum(failed),
    sum(attempts), sum(failed_attempts)
FROM project_minutes
WHERE minute >= :first AND minute < :end AND project_id = coalesce(:project_id, project_id)
GROUP BY place

-- name: busiest
SELECT n.account_id, n.project_id, sum(n.attempts) AS attempts, sum(n.failed_attempts),
    sum(n.delivered), sum(n.failed)
FROM endpoint_hours AS n JOIN accounts AS a ON a.id = n.account_id AND a.removed_at IS NULL
WHERE n.hour >= :hour AND n.project_id = coalesce(:project_id, n.project_id)
    AND n.account_id = coalesce(:account_id, n.account_id)
GROUP BY n.account_id, n.project_id ORDER BY 3 DESC, 1 LIMIT :limit

-- name: slowest
SELECT n.endpoint_id, n.account_id, n.project_id, sum(n.attempts), sum(n.duration) / sum(n.attempts),
    max(n.slowest)
FROM endpoint_hours AS n JOIN endpoints AS e ON e.id = n.endpoint_id AND e.removed_at IS NULL
WHERE n.hour >= :hour AND n.attempts > 0 AND n.project_id = coalesce(:project_id, n.project_id)
    AND n.account_id = coalesce(:account_id, n.account_id)
GROUP BY n.endpoint_id, n.account_id, n.project_id ORDER BY 5 DESC, 1 LIMIT :limit

-- name: troubled
-- Which of the endpoints are; those that fail come first.
WHERE id IN (
    SELECT id FROM endpoints WHERE failing > 0
    UNION SELECT id FROM endpoints WHERE disabled_reason <> ''
    UNION SELECT endpoint_id FROM endpoint_health WHERE failing_since IS NOT NULL)
    AND disabled_reason <> :by_hand AND removed_at IS NULL
    AND project_id = coalesce(:project_id, project_id)
    AND account_id = coalesce(:account_id, account_id)
ORDER BY disabled_reason <> '', CASE WHEN disabled_reason = '' THEN failing ELSE disabled_at END DESC,
    coalesce((SELECT failing_since FROM endpoint_health WHERE endpoint_id = endpoints.id), 0), id
LIMIT :limit

-- name: account_usage
SELECT (SELECT count(*) FROM endpoints WHERE account_id = :account_id AND removed_at IS NULL),
    (SELECT coalesce(sum(deliveries), 0) FROM usage
        WHERE account_id = :account_id AND minute >= :since),
    (SELECT count(*) FROM (
        SELECT 1 FROM deliveries INDEXED BY deliveries_held
        WHERE account_id = :account_id AND state = 'held' LIMIT :most)),
    (SELECT count(*) FROM (
        SELECT 1 FROM endpoints AS ep CROSS JOIN deliveries AS d INDEXED BY deliveries_due
            ON d.endpoint_id = ep.id AND d.state = 'pending' AND d.claim <= 0
        WHERE ep.account_id = :account_id LIMIT :most))
    + (SELECT count(*) FROM deliveries INDEXED BY deliveries_leased
        WHERE state = 'pending' AND claim > 0 AND account_id = :account_id)

-- name: drop_minutes
DELETE FROM project_minutes WHERE minute < :before

-- name: drop_hours
DELETE FROM endpoint_hours WHERE hour < :before

-- name: add_bin
INSERT INTO bins (id, token, project_id, account_id, script, created_at, expires_at)
VALUES (:id, :token, :project_id, :account_id, :script, :created_at, :expires_at)

-- name: count_bins
SELECT count(*) FROM bins
WHERE project_id IS :project_id AND account_id IS :account_id AND expires_at > :now

-- name: get_bin
SELECT id, token, project_id, account_id, script, created_at, expires_at FROM bins
WHERE token = :token AND expires_at > :now

-- name: change_bin
UPDATE bins SET script = :script WHERE token = :token

-- name: drop_expired_bins
DELETE FROM bins WHERE expires_at <= :now

-- name: add_bin_request
INSERT INTO bin_requests (id, bin_id, method, path, headers, body, body_size, answered, received_at,
    verdict, reason)
VALUES (:id, :bin_id, :method, :path, :headers, :body, :body_size, :answered, :received_at,
    :verdict, :reason)

-- name: trim_bin
DELETE FROM bin_requests WHERE bin_id = :bin_id AND id <= coalesce((
    SELECT id FROM bin_requests WHERE bin_id = :bin_id ORDER BY id DESC LIMIT 1 OFFSET :keep), 0)

-- name: bin_requests
SELECT id, bin_id, method, path, headers, body, body_size, answered, received_at, verdict, reason
FROM bin_requests

-- name: remove_bin
DELETE FROM bins WHERE id = :id

-- name: clear_bin
DELETE FROM bin_requests WHERE bin_id = :bin_id

-- name: add_happening
-- Only where the built-in project is, and nothing of that itself.
INSERT INTO happenings (key, project_id, type, account_id, endpoint_id, at, about)
SELECT :key, a.project_id, :type, a.id, :endpoint_id, :at, :about
FROM accounts AS a
JOIN projects AS p ON p.name = 'hooktide' AND p.removed_at IS NULL AND p.id <> a.project_id
WHERE a.id = :account_id
ON CONFLICT (key) DO NOTHING

-- name: happenings
SELECT project_id, key, type, account_id, endpoint_id, at, about FROM happenings
ORDER BY at LIMIT :limit

-- name: forget_happenings
DELETE FROM happenings WHERE key IN (SELECT value FROM json_each(:keys))

-- name: any_secret
SELECT sealed FROM secrets LIMIT 1

-- name: sizes
-- A delivery knows how many attempts it has, so the attempts themselves are not read.
SELECT p.id, p.name, coalesce(e.events, 0), coalesce(d.deliveries, 0), coalesce(d.attempts, 0),
    coalesce(e.payload_bytes, 0), e.oldest >> 11
FROM projects AS p
LEFT JOIN (
    SELECT project_id, count(*) AS events, sum(length(payload)) AS payload_bytes, min(id) AS oldest
    FROM events GROUP BY project_id) AS e ON e.project_id = p.id
LEFT JOIN (
    SELECT project_id, count(*) AS deliveries, sum(attempts) AS attempts
    FROM deliveries GROUP BY project_id) AS d ON d.project_id = p.id
WHERE p.removed_at IS NULL OR e.events > 0 ORDER BY p.name, p.id
