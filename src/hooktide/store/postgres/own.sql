-- Statements that only PostgreSQL needs, mostly to coordinate several processes.

-- name: accept
-- Adds events and their deliveries, if the fan-out data is still current and none of their
-- idempotency keys was used. Fails if another transaction is using one of the keys right now.
-- Returns whether they were added.
WITH current AS (
    SELECT count(*) FROM unnest(:1::bigint[], :2::bigint[], :3::bigint[]) AS known (id, version, of_project)
    JOIN {schema}accounts AS a
        ON a.id = known.id AND a.version = known.version AND a.removed_at IS NULL
    JOIN {schema}projects AS p ON p.id = a.project_id AND p.version = known.of_project),
used AS (
    SELECT 1 FROM unnest(:4::bigint[], :5::text[]) AS wanted (project_id, key)
    JOIN {schema}idempotency USING (project_id, key) LIMIT 1),
good AS MATERIALIZED (
    SELECT 1 FROM current WHERE count = cardinality(:1::bigint[]) AND NOT EXISTS (SELECT 1 FROM used)),
keys AS (
    INSERT INTO {schema}idempotency (project_id, key, digest, event_id, deliveries)
    SELECT v.* FROM good, unnest(:4::bigint[], :5::text[], :6::bytea[], :7::bigint[], :8::integer[]) AS v),
events AS (
    INSERT INTO {schema}events
        (id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload,
            channels, tags)
    SELECT v.* FROM good, unnest(:9::bigint[], :10::bigint[], :11::bigint[], :12::text[], :13::text[],
        :14::boolean[], :15::bigint[], :16::integer[], :17::bytea[], :18::text[],
        :19::text[]) AS v),
deliveries AS (
    INSERT INTO {schema}queue (id, event_id, endpoint_id, account_id, project_id, origin, state,
        attempts, due_at, claim, reason)
    SELECT v.id, v.event_id, v.endpoint_id, v.account_id, v.project_id, v.origin, v.state, 0, v.due_at,
        v.claim, v.reason
    FROM good, unnest(:20::bigint[], :21::bigint[], :22::bigint[], :23::bigint[], :24::bigint[],
        :25::text[], :26::text[], :27::bigint[], :28::bigint[], :29::text[])
        AS v (id, event_id, endpoint_id, account_id, project_id, origin, state, due_at, claim, reason))
SELECT EXISTS (SELECT 1 FROM good)

-- name: durable
-- Makes a transaction that changed nothing write something, so that its commit waits for the disk
-- and for a synchronous standby, and therefore for everything that it has read.
SELECT pg_logical_emit_message(true, 'hooktide', '')

-- name: lock_as_publishing_does
LOCK TABLE ONLY {schema}events, ONLY {schema}queue, ONLY {schema}idempotency
IN ROW EXCLUSIVE MODE

-- name: read_as_publishing_does
SELECT (SELECT id FROM {schema}accounts LIMIT 1), (SELECT id FROM {schema}endpoints LIMIT 1)

-- name: try_writing
INSERT INTO {schema}write_probe (filler)
SELECT decode(repeat('00', 1900), 'hex') FROM generate_series(1, :bytes::integer / 1900 + 1)

-- name: versions
-- Whether a process's cached data of these accounts is still current.
SELECT a.id, a.version, p.version
FROM {schema}accounts AS a JOIN {schema}projects AS p ON p.id = a.project_id
WHERE a.id = ANY(:ids::bigint[]) AND a.removed_at IS NULL

-- name: lock_hours
-- Locks the accounts with an hourly limit, so that the limit is exact.
SELECT id FROM {schema}accounts WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: holding
-- Which of these accounts have held deliveries.
SELECT wanted.id FROM unnest(:ids::bigint[]) AS wanted (id)
WHERE EXISTS (SELECT 1 FROM {schema}queue AS q WHERE q.account_id = wanted.id AND q.state = 'held')

-- name: account_changed
-- Run first by every change of an account's plan or endpoints, so that others wait for the commit.
UPDATE {schema}accounts SET version = version + 1 WHERE id = :id

-- name: lock
SELECT pg_advisory_xact_lock(:space, :number)

-- name: settled_stale
-- Deletes the marks of endpoints with nothing left to discard and nothing in flight. A mark that is
-- ahead of the clock, which was set back since, is deleted as soon as nothing is left.
UPDATE {schema}endpoints AS e SET stale_before = 0
WHERE e.stale_before > 0 AND (e.stale_before < :older
    OR e.stale_before > :ahead AND e.disabled_reason = '' AND e.removed_at IS NULL)
AND NOT EXISTS (
    SELECT 1 FROM {schema}queue AS q WHERE q.endpoint_id = e.id AND q.state = 'pending'
        AND q.id < e.stale_before)
AND NOT EXISTS (
    SELECT 1 FROM {schema}queue AS q WHERE q.account_id = e.account_id AND q.state = 'held'
        AND q.endpoint_id = e.id AND q.id < e.stale_before)

-- name: fold_waiting_counts
-- Merges an endpoint's rows into one or none. Rows that are not committed yet are not visible, and
-- stay. One process at a time does this. Two would do no harm, because each row is taken once.
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(:lock::bigint) AS ours),
several AS (
    SELECT endpoint_id FROM {schema}waiting_counts WHERE (SELECT ours FROM turn)
    GROUP BY endpoint_id HAVING count(*) > 1),
gone AS (
    DELETE FROM {schema}waiting_counts WHERE endpoint_id IN (SELECT endpoint_id FROM several)
    RETURNING endpoint_id, account_id, project_id, waiting, retries, held)
INSERT INTO {schema}waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
SELECT endpoint_id, account_id, project_id, sum(waiting), sum(retries), sum(held) FROM gone
GROUP BY endpoint_id, account_id, project_id
HAVING sum(waiting) <> 0 OR sum(retries) <> 0 OR sum(held) <> 0

-- name: notify
SELECT pg_notify(:channel, :payload)

-- name: clock
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: take_node
-- The node number that has been free for longest, or the first that was never used.
INSERT INTO {schema}nodes (node, holder, free_at, lease_shift)
SELECT node, :holder, :free_at, :lease_shift FROM (
    SELECT n.node, coalesce(known.free_at, 0) AS free_at
    FROM generate_series(0, :nodes - 1) AS n (node) LEFT JOIN {schema}nodes AS known USING (node)
    WHERE coalesce(known.free_at, 0) <= :now
    ORDER BY (known.node IS NULL), known.free_at, n.node LIMIT 1) AS free
ON CONFLICT (node) DO UPDATE SET holder = excluded.holder, free_at = excluded.free_at,
    lease_shift = excluded.lease_shift, held = false
RETURNING node, generation

-- name: keep_node
UPDATE {schema}nodes SET free_at = :free_at, lease_shift = :lease_shift
WHERE node = :node AND holder = :holder RETURNING generation

-- name: terminate_session
-- Ends a session of this process that the server still considers open.
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid::bigint = :lock AND objid::bigint = :node AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pid = :session AND granted

-- name: lock_node
SELECT pg_advisory_lock(:lock::integer, :node::integer)

-- name: unlock_node
SELECT pg_advisory_unlock(:lock::integer, :node::integer)

-- name: try_lock_node
-- Held until the transaction ends. The process with this number has the lock already, or takes it
-- afterwards.
SELECT pg_try_advisory_xact_lock(:lock::integer, :node::integer)

-- name: hold_node
-- Writes nothing unless the process's claims were released meanwhile.
WITH held AS (
    UPDATE {schema}nodes SET held = true WHERE node = :node AND holder = :holder AND NOT held)
SELECT generation FROM {schema}nodes WHERE node = :node AND holder = :holder

-- name: absent_nodes
-- Processes that took their session lock and no longer hold it, with their generations. Returns
-- none if the caller's own lock is not visible: this may be a different server.
WITH present AS MATERIALIZED (
    SELECT objid::bigint AS node FROM pg_locks
    WHERE locktype = 'advisory' AND classid::bigint = :lock AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
SELECT node, generation FROM {schema}nodes
WHERE held AND node NOT IN (SELECT node FROM present)
    AND :own::bigint IN (SELECT node FROM present)

-- name: raise_generation
UPDATE {schema}nodes SET generation = generation + 1, held = false
WHERE node = :node AND generation = :generation AND held

-- name: release_claims_of_node
-- The last bits of a claim are the number of the process that made it.
UPDATE {schema}queue SET claim = 0, due_at = :now
WHERE state = 'pending' AND claim <> 0 AND claim & :mask::bigint = :node::bigint
RETURNING endpoint_id

-- name: lease_shift
-- The lease shift of the most recently renewed other process that holds its session lock. If
-- no lock is visible, as on a different server, it is taken from the processes that were renewed
-- lately. A row from before the clock was set back counts only if nothing has been written since.
WITH present AS MATERIALIZED (
    SELECT objid::bigint AS node FROM pg_locks
    WHERE locktype = 'advisory' AND classid::bigint = :lock AND objsubid = 2 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
SELECT lease_shift, free_at FROM {schema}nodes
WHERE node <> :own AND (node IN (SELECT node FROM present)
    OR NOT EXISTS (SELECT 1 FROM present) AND free_at BETWEEN :since AND :until)
ORDER BY (free_at > :until), free_at DESC LIMIT 1

-- name: partitions
-- The daily tables, as (parent, name).
SELECT parent.relname, child.relname
FROM pg_inherits JOIN pg_class AS parent ON parent.oid = inhparent
JOIN pg_class AS child ON child.oid = inhrelid
JOIN pg_namespace AS n ON n.oid = parent.relnamespace
WHERE n.nspname = '{schema_name}' AND parent.relkind = 'p' ORDER BY child.relname

-- name: waiting_for
-- Whether a pending or held delivery still needs an event of this range.
SELECT EXISTS (SELECT 1 FROM {schema}queue WHERE event_id >= :lower AND event_id < :upper)

-- name: drop_later_attempts
-- Deliveries that were created on a later day for events of this range.
DELETE FROM {schema}attempts WHERE delivery_id IN (
    SELECT id FROM {schema}ended WHERE event_id >= :lower AND event_id < :upper AND id >= :upper)

-- name: drop_later_deliveries
DELETE FROM {schema}ended WHERE event_id >= :lower AND event_id < :upper AND id >= :upper

-- name: drop_terms_in_default
-- For a day that was created by a server of the previous version.
DELETE FROM {schema}event_terms_default WHERE event_id >= :lower AND event_id < :upper

-- name: drop_keys_before
DELETE FROM {schema}idempotency WHERE (project_id, key) IN (
    SELECT project_id, key FROM {schema}idempotency WHERE event_id < :before LIMIT :limit)

-- name: emitted
-- The oldest events in the outbox that applications write to in this database: at least one row,
-- and otherwise no more bytes than the memory limit. A payload that is far too large is truncated.
WITH first AS (
    SELECT id, project, key, account, type, payload, occurred_at, transition, test, channels, tags,
        octet_length(payload) AS payload_bytes,
        octet_length(project) + octet_length(key) + octet_length(account) + octet_length(type)
            + octet_length(transition) + octet_length(channels) + octet_length(tags) AS other_bytes
    FROM {schema}emitted WHERE refused = '' ORDER BY id LIMIT :limit
), sized AS (
    SELECT id, project, key, account, type, payload, occurred_at, transition, test, channels, tags,
        payload_bytes,
        sum(other_bytes + least(payload_bytes, :longest)) OVER (ORDER BY id) AS bytes,
        row_number() OVER (ORDER BY id) AS place
    FROM first
)
SELECT id, project, key, account, type,
    CASE WHEN payload_bytes > :longest THEN left(payload, :longest) ELSE payload END,
    occurred_at, transition, test, channels, tags
FROM sized WHERE place = 1 OR bytes <= :bytes ORDER BY id

-- name: lock_emitted
-- Another process that ingests the outbox waits for the commit and continues from there, so that
-- the order is kept.
SELECT at FROM {schema}emitted_until FOR UPDATE

-- name: emitted_until
UPDATE {schema}emitted_until SET at = :at

-- name: hold_emitted
-- Which of these are still pending.
SELECT id FROM {schema}emitted WHERE id = ANY(:ids::bigint[]) AND refused = '' ORDER BY id

-- name: refused_rows
SELECT id, project, account, type, refused, octet_length(payload) FROM {schema}emitted

-- name: retry_refused_row
UPDATE {schema}emitted SET refused = '' WHERE id = :id AND refused <> ''
RETURNING id, project, account, type, '', octet_length(payload)

-- name: discard_refused_row
DELETE FROM {schema}emitted WHERE id = :id AND refused <> ''
RETURNING id, project, account, type, refused, octet_length(payload)

-- name: drop_emitted
DELETE FROM {schema}emitted WHERE id = ANY(:ids::bigint[])

-- name: refuse_emitted
UPDATE {schema}emitted AS e SET refused = v.reason FROM unnest(:1::bigint[], :2::text[]) AS v (id, reason) WHERE e.id = v.id

-- name: reserve_slots
-- Slots of the timelines of rates, as domain/throttling/timeline.py has them. New timelines have no
-- burst saved up. In the order of their ids, so that processes do not wait for each other in a circle.
WITH asked AS (
    SELECT * FROM unnest(:owners::bigint[], :spans::bigint[], :bursts::bigint[], :counts::bigint[],
        :shares::bigint[]) AS a (owner_id, span, burst, count, share)),
users AS (
    INSERT INTO {schema}timeline_users (owner_id, node, asked_at)
    SELECT owner_id, :node::integer, :now::bigint FROM asked ORDER BY owner_id
    ON CONFLICT (owner_id, node) DO UPDATE SET asked_at = excluded.asked_at),
others AS (
    SELECT owner_id, count(*) AS count FROM {schema}timeline_users JOIN asked USING (owner_id)
    WHERE node <> :node::integer AND asked_at > :since::bigint GROUP BY owner_id),
slots AS (
    INSERT INTO {schema}timelines AS t (owner_id, span, burst, reserved_to, first_at, taken, share)
    SELECT owner_id, span, burst,
        :now::bigint + span * least(count, 1 + share, :ahead::bigint / span + 1), :now::bigint,
        least(count, 1 + share, :ahead::bigint / span + 1), share
    FROM asked ORDER BY owner_id
    ON CONFLICT (owner_id) DO UPDATE SET (span, burst, share, first_at, taken, reserved_to) = (
        SELECT excluded.span, excluded.burst, excluded.share, first.at, n.n, first.at + n.n * excluded.span
        FROM (SELECT greatest(
                CASE WHEN t.reserved_to > :now::bigint + :leap::bigint THEN :now::bigint ELSE t.reserved_to END,
                :now::bigint - (excluded.burst - 1) * excluded.span) AS at) AS first,
            LATERAL (SELECT greatest(0, least(
                (SELECT count FROM asked WHERE asked.owner_id = excluded.owner_id),
                CASE WHEN first.at <= :now::bigint
                    THEN (:now::bigint - first.at) / excluded.span + 1 ELSE 0 END + excluded.share,
                CASE WHEN first.at <= :now::bigint + :ahead::bigint
                    THEN (:now::bigint + :ahead::bigint - first.at) / excluded.span + 1 ELSE 0 END)) AS n) AS n)
    RETURNING t.owner_id, t.first_at, t.taken)
SELECT owner_id, first_at, taken, (1 + coalesce(others.count, 0))::integer
FROM slots LEFT JOIN others USING (owner_id)

-- name: drop_idle_timelines
WITH gone AS (
    DELETE FROM {schema}timelines WHERE reserved_to < :before::bigint RETURNING owner_id)
DELETE FROM {schema}timeline_users
WHERE asked_at < :before::bigint OR owner_id IN (SELECT owner_id FROM gone)
