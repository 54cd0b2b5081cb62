-- Projects.

-- name: projects
SELECT id, config, created_at, changed_at, version FROM {schema}projects WHERE removed_at IS NULL

-- name: hold_project
-- Accounts are created and assigned to plans while their project is locked, so that it cannot be
-- changed or deleted meanwhile.
SELECT id FROM {schema}projects WHERE id = :id FOR SHARE

-- name: lock_project
SELECT id FROM {schema}projects WHERE id = :id FOR UPDATE

-- name: all_projects
SELECT id, config FROM {schema}projects

-- name: create_project
-- Inserts nothing if a project of this name exists.
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
-- The row is kept until its log is past retention.
UPDATE {schema}projects SET removed_at = :now WHERE id = :id

-- name: accounts_on_plans
SELECT reference, plan FROM {schema}accounts
WHERE project_id = :project_id AND removed_at IS NULL AND plan = ANY(:plans::text[])
ORDER BY id LIMIT 1
