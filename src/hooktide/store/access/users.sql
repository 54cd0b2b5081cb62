-- The dashboard's users.

-- name: create_user
INSERT INTO {schema}people (id, name, folded, role, project_id, password, created_at)
VALUES (:id, :name, :folded, :role, :project_id, '', :now)

-- name: users
SELECT id, name, role, project_id, password, created_at, seen_at FROM {schema}people WHERE removed_at IS NULL

-- name: hold_person
SELECT id FROM {schema}people WHERE id = :id FOR UPDATE

-- name: count_owners
-- Users who are owners of all projects.
SELECT count(*) FROM {schema}people WHERE role = 'owner' AND project_id IS NULL AND removed_at IS NULL

-- name: update_user
UPDATE {schema}people SET name = :name, folded = :folded, role = :role, project_id = :project_id,
    password = :password
WHERE id = :id

-- name: replace_password_hash
UPDATE {schema}people SET password = :new WHERE id = :id AND password = :old

-- name: delete_user
UPDATE {schema}people SET removed_at = :now, password = '' WHERE id = :id

-- name: delete_users_of_project
UPDATE {schema}people SET removed_at = :now, password = '' WHERE project_id = :id AND removed_at IS NULL

-- name: touch_user
UPDATE {schema}people SET seen_at = :now WHERE id = :id AND coalesce(seen_at, 0) < :now

-- name: create_login_link
INSERT INTO {schema}login_links (digest, person_id, expires_at) VALUES (:digest, :person_id, :expires_at)

-- name: login_link
SELECT person_id FROM {schema}login_links WHERE digest = :digest AND expires_at > :now

-- name: take_login_link
DELETE FROM {schema}login_links WHERE digest = :digest AND expires_at > :now RETURNING person_id

-- name: forget_login_links
DELETE FROM {schema}login_links WHERE person_id = :person_id

-- name: drop_login_links
DELETE FROM {schema}login_links WHERE expires_at <= :now
