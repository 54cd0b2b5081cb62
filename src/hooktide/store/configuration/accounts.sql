-- Accounts.

-- name: create_account
INSERT INTO {schema}accounts (id, project_id, reference, name, plan, created_at, metadata)
VALUES (:id, :project_id, :reference, :name, :plan, :now, :metadata)

-- name: accounts
SELECT id, project_id, reference, name, plan, created_at, link_generation, metadata, rate_limit, burst
FROM {schema}accounts

-- name: update_account
UPDATE {schema}accounts SET name = :name, plan = :plan, metadata = :metadata, rate_limit = :rate_limit,
    burst = :burst
WHERE id = :id

-- name: revoke_portal_links
UPDATE {schema}accounts SET link_generation = link_generation + 1 WHERE id = :id

-- name: delete_account
UPDATE {schema}accounts SET removed_at = :now WHERE id = :id AND removed_at IS NULL
