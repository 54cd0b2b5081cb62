-- Operational events waiting to be published. The table still has their earlier name.

-- name: add_operational_event
-- Only if the built-in project exists, and never for the built-in project itself.
INSERT INTO {schema}happenings (key, project_id, type, account_id, endpoint_id, at, about)
SELECT :key::text, a.project_id, :type::text, a.id, :endpoint_id::bigint, :at::bigint, :about::text
FROM {schema}accounts AS a
JOIN {schema}projects AS p ON p.name = 'hooktide' AND p.removed_at IS NULL AND p.id <> a.project_id
WHERE a.id = :account_id::bigint
ON CONFLICT (key) DO NOTHING

-- name: operational_events
SELECT project_id, key, type, account_id, endpoint_id, at, about FROM {schema}happenings
ORDER BY at LIMIT :limit

-- name: delete_operational_events
DELETE FROM {schema}happenings WHERE key = ANY(:keys::text[])
