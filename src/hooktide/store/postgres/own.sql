-- What only PostgreSQL needs: what many processes have to agree on.

-- name: accept
-- Events and their deliveries, where what they were fanned out with is still so and no idempotency
-- key of theirs was used; a key that is being used elsewhere right now makes this fail. Returns
-- whether they were added.
WITH current AS (
    SELECT count(*) FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[]) AS known (id, version, of_project)
    JOIN hooktide.accounts AS a
        ON a.id = known.id AND a.version = known.version AND a.removed_at IS NULL
    JOIN hooktide.projects AS p ON p.id = a.project_id AND p.version = known.of_project),
used AS (
    SELECT 1 FROM unnest(:4::bigint[], :5::text[]) AS wanted (project_id, key)
    JOIN hooktide.idempotency USING (project_id, key) LIMIT 1),
good AS MATERIALIZED (
    SELECT 1 FROM current WHERE count = cardinality(:1::bigint[]) AND NOT EXISTS (SELECT 1 FROM used)),
keys AS (
    INSERT INTO hooktide.idempotency (project_id, key, digest, event_id, deliveries)
    SELECT v.* FROM good, unnest(:4::bigint[], :5::text[], :6::bytea[], :7::bigint[], :8::integer[]) AS v),
events AS (
    INSERT INTO hooktide.events
        (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload)
    SELECT v.* FROM good, unnest(:9::bigint[], :10::bigint[], :11::bigint[], :12::text[], :13::text[],
        :14::boolean[], :15::bigint[], :16::integer[], :17::bytea[]) AS v),
deliveries AS (
    INSERT INTO hooktide.queue (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, due_at, claim, reason)
    SELECT v.id, v.event_id, v.endpoint_id, v.account_id, v.project_id, v.origin, v.state, 0, v.due_at,
        v.claim, v.reason
    FROM good, unnest(:18::bigint[], :19::bigint[], :20::bigint[], :21::bigint[], :22::bigint[],
        :23::text[], :24::text[], :25::bigint[], :26::bigint[], :27::text[])
        AS v (id, event_id, endpoint_id, account_id, project_id, origin, state, due_at, claim, reason))
SELECT EXISTS (SELECT 1 FROM good)

-- name: durable
-- Has a transaction that changed nothing write something all the same, so that its commit waits for
-- the disk and for a synchronous standby: and with it for all that it has read.
SELECT pg_logical_emit_message(true, 'hooktide', '')

-- name: versions
-- Whether what a process remembers of these accounts is still so.
SELECT a.id, a.version, p.version
FROM hooktide.accounts AS a JOIN hooktide.projects AS p ON p.id = a.project_id
WHERE a.id = ANY(:ids::bigint[]) AND a.removed_at IS NULL

-- name: lock_hours
-- The accounts with an hourly limit, one transaction at a time, so that the limit is exact.
SELECT id FROM hooktide.accounts WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: holding
-- Which of these accounts have something held back.
SELECT wanted.id FROM unnest(:ids::bigint[]) AS wanted (id)
WHERE EXISTS (SELECT 1 FROM hooktide.queue AS q WHERE q.account_id = wanted.id AND q.state = 'held')

-- name: claimable_endpoints
-- Locked until the claims are committed: a disable waits, and finds them claimed before it.
SELECT id, stale_before FROM hooktide.endpoints
WHERE id = ANY(:endpoints::bigint[]) AND disabled_reason = '' AND removed_at IS NULL
ORDER BY id FOR SHARE

-- name: account_changed
-- Whoever changes an account's plan or endpoints does this first, and others wait for the commit.
UPDATE hooktide.accounts SET version = version + 1 WHERE id = :id

-- name: lock
SELECT pg_advisory_xact_lock(:space, :number)

-- name: hold_project
-- Accounts are added while a project is held, and it is removed while none is.
SELECT id FROM hooktide.projects WHERE id = :id FOR SHARE

-- name: lock_project
SELECT id FROM hooktide.projects WHERE id = :id FOR UPDATE

-- name: lock_event
-- Retention must wait, and finds what refers to the event.
SELECT id FROM hooktide.events WHERE id = :id FOR KEY SHARE

-- name: lock_events
-- Those that are there still; retention waits.
SELECT id FROM hooktide.events WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR KEY SHARE

-- name: lock_replay
-- One process at a time goes on with a replay; the others pass it over.
SELECT id FROM hooktide.replays WHERE id = :id AND state = 'running' FOR NO KEY UPDATE SKIP LOCKED

-- name: settled_stale
-- Marks of endpoints for which nothing is left to discard, and nothing can still be in flight.
UPDATE hooktide.endpoints AS e SET stale_before = 0
WHERE e.stale_before > 0 AND e.stale_before < :older AND NOT EXISTS (
    SELECT 1 FROM hooktide.queue AS q WHERE q.endpoint_id = e.id AND q.state = 'pending'
        AND q.id < e.stale_before)
AND NOT EXISTS (
    SELECT 1 FROM hooktide.queue AS q WHERE q.account_id = e.account_id AND q.state = 'held'
        AND q.endpoint_id = e.id AND q.id < e.stale_before)

-- name: notify
SELECT pg_notify(:channel, :payload)

-- name: clock
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: take_node
-- The number that has been free for longest, or the first that nobody ever had.
INSERT INTO hooktide.nodes (node, holder, free_at)
SELECT node, :holder, :free_at FROM (
    SELECT n.node, coalesce(known.free_at, 0) AS free_at
    FROM generate_series(0, :nodes - 1) AS n (node) LEFT JOIN hooktide.nodes AS known USING (node)
    WHERE coalesce(known.free_at, 0) <= :now
    ORDER BY (known.node IS NULL), known.free_at, n.node LIMIT 1) AS free
ON CONFLICT (node) DO UPDATE SET holder = excluded.holder, free_at = excluded.free_at
RETURNING node

-- name: keep_node
UPDATE hooktide.nodes SET free_at = :free_at WHERE node = :node AND holder = :holder

-- name: partitions
-- The days there are tables for, as (parent, name).
SELECT parent.relname, child.relname
FROM pg_inherits JOIN pg_class AS parent ON parent.oid = inhparent
JOIN pg_class AS child ON child.oid = inhrelid
JOIN pg_namespace AS n ON n.oid = parent.relnamespace
WHERE n.nspname = 'hooktide' AND parent.relkind = 'p' ORDER BY child.relname

-- name: waiting_for
-- Whether something pending or held still needs an event of this range.
SELECT EXISTS (SELECT 1 FROM hooktide.queue WHERE event_id >= :lower AND event_id < :upper)

-- name: drop_later_attempts
-- Of deliveries that were made on a later day, of events of this range.
DELETE FROM hooktide.attempts WHERE delivery_id IN (
    SELECT id FROM hooktide.ended WHERE event_id >= :lower AND event_id < :upper AND id >= :upper)

-- name: drop_later_deliveries
DELETE FROM hooktide.ended WHERE event_id >= :lower AND event_id < :upper AND id >= :upper

-- name: drop_keys_before
DELETE FROM hooktide.idempotency WHERE (project_id, key) IN (
    SELECT project_id, key FROM hooktide.idempotency WHERE event_id < :before LIMIT :limit)

-- name: emitted
-- The first events that applications have written into this database themselves.
SELECT id, project, key, account, type, payload, occurred_at, transition, test
FROM hooktide.emitted WHERE refused = '' ORDER BY id LIMIT :limit

-- name: lock_emitted
-- Whoever else takes over waits for the commit, so that their order stays; and goes on from there.
SELECT at FROM hooktide.emitted_until FOR UPDATE

-- name: emitted_until
UPDATE hooktide.emitted_until SET at = :at

-- name: hold_emitted
-- Which of these still wait.
SELECT id FROM hooktide.emitted WHERE id = ANY(:ids::bigint[]) AND refused = '' ORDER BY id

-- name: drop_emitted
DELETE FROM hooktide.emitted WHERE id = ANY(:ids::bigint[])

-- name: refuse_emitted
UPDATE hooktide.emitted AS e SET refused = v.reason FROM unnest(:1::bigint[], :2::text[]) AS v (id, reason) WHERE e.id = v.id
