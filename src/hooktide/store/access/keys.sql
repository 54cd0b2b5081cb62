-- API keys.

-- name: create_key
INSERT INTO {schema}keys (id, digest, scope, project_id, account_id, name, last4, created_at)
VALUES (:id, :digest, :scope, :project_id, :account_id, :name, :last4, :created_at)

-- name: keys
SELECT id, scope, project_id, account_id, name, last4, created_at, used_at, revoked_at
FROM {schema}keys

-- name: live_operator_keys
SELECT id FROM {schema}keys WHERE scope = 'operator' AND revoked_at IS NULL
ORDER BY id FOR UPDATE

-- name: revoke_key
UPDATE {schema}keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :id

-- name: revoke_keys_of_account
UPDATE {schema}keys SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL
RETURNING id

-- name: revoke_keys_of_project
UPDATE {schema}keys SET revoked_at = :now WHERE project_id = :id AND revoked_at IS NULL

-- name: touch_key
UPDATE {schema}keys SET used_at = :used_at WHERE id = :id AND coalesce(used_at, 0) < :used_at

-- name: report_keys
INSERT INTO {schema}key_reports (process, key_ids, seen_at) VALUES (:process, :key_ids, :now)
ON CONFLICT (process) DO UPDATE SET key_ids = excluded.key_ids, seen_at = excluded.seen_at

-- name: end_key_report
DELETE FROM {schema}key_reports WHERE process = :process

-- name: key_reports
SELECT process, key_ids FROM {schema}key_reports WHERE seen_at >= :since ORDER BY seen_at DESC
