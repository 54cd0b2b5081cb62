-- Data that one page request stores for the next.

-- name: put_stashed
INSERT INTO {schema}stash (place, sealed, expires_at) VALUES (:place, :sealed, :expires_at)
ON CONFLICT (place) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at

-- name: take_stashed
DELETE FROM {schema}stash WHERE place = :place AND expires_at > :now RETURNING sealed

-- name: get_stashed
SELECT sealed FROM {schema}stash WHERE place = :place AND expires_at > :now

-- name: drop_stashed
DELETE FROM {schema}stash WHERE expires_at <= :now
