-- Projects.

-- name: projects
SELECT id, config, created_at, changed_at, version FROM {schema}projects WHERE removed_at IS NULL

-- name: hold_project
-- Accounts are added and put on plans while their project is held: meanwhile it is neither changed
-- nor deleted.
SELECT id FROM {schema}projects WHERE id = :id FOR SHARE

-- name: lock_project
SELECT id FROM {schema}projects WHERE id = :id FOR UPDATE

-- name: all_projects
SELECT id, config FROM {schema}projects

-- name: create_project
-- Nothing, where there is one of this name.
INSERT INTO {schema}projects (id, name, config, created_at, changed_at)
VALUES (:id, :name, :config, :now, :now)
ON CONFLICT (name) WHERE removed_at IS NULL DO NOTHING
RETURNING id

-- name: update_project
-- Updates nothing if the row has changed since it was read.
UPDATE {schema}projects SET config = :config, changed_at = :now, version = version + 1
WHERE id = :id AND version = :version AND removed_at IS NULL
RETURNING id

-- name: delete_project
-- The row stays until its log is past retention.
UPDATE {schema}projects SET removed_at = :now WHERE id = :id

-- name: accounts_on_plans
SELECT reference, plan FROM {schema}accounts
WHERE project_id = :project_id AND removed_at IS NULL AND plan = ANY(:plans::text[])
ORDER BY id LIMIT 1
