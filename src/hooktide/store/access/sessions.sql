-- Login sessions, and failed logins by address.

-- name: create_session
INSERT INTO {schema}sessions (digest, person_id, key_id, created_at, expires_at)
VALUES (:digest, :person_id, :key_id, :now, :expires_at)

-- name: find_session
SELECT person_id, key_id, expires_at FROM {schema}sessions WHERE digest = :digest AND expires_at > :now

-- name: end_session
DELETE FROM {schema}sessions WHERE digest = :digest

-- name: end_sessions
DELETE FROM {schema}sessions WHERE person_id = :person_id

-- name: drop_sessions
DELETE FROM {schema}sessions WHERE expires_at <= :now

-- name: hold_login_record
-- Creates the row if it does not exist, so that it can be locked.
INSERT INTO {schema}login_records (place, failures, last_at, blocked_until, succeeded_at)
VALUES (:place, 0, 0, 0, 0) ON CONFLICT (place) DO NOTHING

-- name: login_record
SELECT failures, last_at, blocked_until, succeeded_at FROM {schema}login_records
WHERE place = :place FOR UPDATE

-- name: set_login_record
UPDATE {schema}login_records SET failures = :failures, last_at = :last_at,
    blocked_until = :blocked_until, succeeded_at = :succeeded_at
WHERE place = :place

-- name: drop_login_records
DELETE FROM {schema}login_records
WHERE last_at < :failed_before AND succeeded_at < :succeeded_before
