-- Erases the stored data of an account.

-- name: erasable_accounts
-- An account, deleted or not, and the deleted ones that had the same reference before it.
SELECT a.id, a.project_id, a.removed_at FROM {schema}accounts AS a
WHERE a.project_id = coalesce(:project_id::bigint, a.project_id) AND (a.id = :id
    OR :reference <> '' AND a.reference = :reference
    OR a.removed_at IS NOT NULL AND a.reference <> '' AND (a.reference, a.project_id) IN (
        SELECT n.reference, n.project_id FROM {schema}accounts AS n WHERE n.id = :id))
ORDER BY (a.removed_at IS NULL) DESC, a.id DESC

-- name: add_erasure
INSERT INTO {schema}erasures (account_id, group_id, project_id, started_at)
VALUES (:account_id, :group_id, :project_id, :now) ON CONFLICT (account_id) DO NOTHING

-- name: forget_account
UPDATE {schema}accounts SET reference = '', name = '', metadata = '' WHERE id = :account_id

-- name: erasure
SELECT min(group_id), min(started_at), sum(events)::bigint, sum(attempts)::bigint, max(erased_to),
    CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END
FROM {schema}erasures WHERE group_id = (
    SELECT group_id FROM {schema}erasures WHERE account_id = :account_id
        AND project_id = coalesce(:project_id::bigint, project_id))
HAVING count(*) > 0

-- name: running_erasures
SELECT account_id FROM {schema}erasures WHERE ended_at IS NULL ORDER BY account_id

-- name: take_erasure
SELECT started_at, sweep, erased_to FROM {schema}erasures
WHERE account_id = :account_id AND ended_at IS NULL FOR UPDATE SKIP LOCKED

-- name: move_erasure
UPDATE {schema}erasures SET sweep = :sweep, erased_to = :erased_to, events = events + :events,
    attempts = attempts + :attempts
WHERE account_id = :account_id

-- name: end_erasure
UPDATE {schema}erasures SET ended_at = :now WHERE account_id = :account_id

-- name: erase_endpoints
UPDATE {schema}endpoints SET url = '', name = '', description = '', filter = '', channels = '[]',
    reference = '', metadata = '', sealed_url = NULL WHERE id IN (
    SELECT id FROM {schema}endpoints WHERE account_id = :account_id AND removed_at IS NOT NULL
        AND (url <> '' OR name <> '' OR description <> '' OR filter <> '' OR channels <> '[]' OR reference <> ''
            OR metadata <> '' OR sealed_url IS NOT NULL) LIMIT :limit)
RETURNING id

-- name: erase_bin_requests
DELETE FROM {schema}bin_requests WHERE id IN (
    SELECT r.id FROM {schema}bins AS b JOIN {schema}bin_requests AS r ON r.bin_id = b.id
    WHERE b.account_id = :account_id LIMIT :limit)
RETURNING id

-- name: erase_bins
DELETE FROM {schema}bins WHERE id IN (
    SELECT b.id FROM {schema}bins AS b WHERE b.account_id = :account_id AND NOT EXISTS (
        SELECT 1 FROM {schema}bin_requests AS r WHERE r.bin_id = b.id) LIMIT :limit)
RETURNING id

-- name: erase_audit_log
-- The entry stays: actor, action and target id. The actor includes a key's name and the account of
-- a portal.
UPDATE {schema}audit_log SET detail = '', before = '{}', after = '{}', address = '', actor = CASE
    WHEN source = 'portal' THEN 'portal of the account'
    WHEN actor IN (SELECT 'key …' || last4 || ' (' || name || ')' FROM {schema}keys WHERE account_id = :account_id)
    THEN 'key of the account' ELSE actor END
WHERE id IN (
    SELECT id FROM {schema}audit_log WHERE (account_id = :account_id OR target = :target)
        AND (detail <> '' OR before <> '{}' OR after <> '{}' OR address <> ''
            OR source = 'portal' AND actor <> 'portal of the account'
            OR actor IN (SELECT 'key …' || last4 || ' (' || name || ')' FROM {schema}keys WHERE account_id = :account_id))
    LIMIT :limit)
RETURNING id

-- name: jobs_with_text
-- Jobs of several accounts, with whether they still collect: the text that they search for may name
-- anyone.
SELECT id, filter, state = 'collecting' FROM {schema}delivery_jobs
WHERE account_id IS NULL
    AND (project_id IS NULL OR project_id = (SELECT project_id FROM {schema}accounts WHERE id = :account_id))
    AND filter NOT LIKE '%"text":""%' AND filter NOT LIKE '%"text":"erased"%'
ORDER BY state = 'collecting', id LIMIT :limit

-- name: set_job_filter
UPDATE {schema}delivery_jobs SET filter = :filter WHERE id = :id

-- name: erase_keys
UPDATE {schema}keys SET name = '' WHERE id IN (
    SELECT id FROM {schema}keys WHERE account_id = :account_id AND name <> '' LIMIT :limit)
RETURNING id

-- name: erase_operational_events
DELETE FROM {schema}happenings WHERE account_id = :account_id RETURNING key

-- name: erase_events
UPDATE {schema}events SET payload = :blank, channels = '', tags = ''
WHERE id = ANY(:ids::bigint[]) AND (payload <> :blank OR channels <> '' OR tags <> '')
RETURNING id
