-- Endpoints and their secrets.

-- name: create_endpoint
INSERT INTO {schema}endpoints (id, project_id, account_id, url, event_types, name, description, headers,
    filter, filtered_at, channels, channels_at, reference, metadata, rate_limit, burst, retry_delays,
    timeout, kind, sealed_url, disabled_reason, disabled_at, created_at, changed_at)
VALUES (:id, :project_id, :account_id, :url, :event_types, :name, :description, :headers, :filter,
    :filtered_at, :channels, :channels_at, :reference, :metadata, :rate_limit, :burst, :retry_delays,
    :timeout, :kind, :sealed_url, :disabled_reason, :disabled_at, :now, :now)

-- name: endpoints
SELECT id, project_id, account_id, url, event_types, name, description, headers, disabled_reason,
    disabled_at, failing, created_at, changed_at, kind, sealed_url, rests_until, rest_reason,
    filter, filtered_at, channels, channels_at, reference, metadata, rate_limit, burst, retry_delays,
    timeout
FROM {schema}endpoints

-- name: count_endpoints
SELECT count(*) FROM {schema}endpoints WHERE account_id = :account_id AND removed_at IS NULL

-- name: update_endpoint
UPDATE {schema}endpoints SET url = :url, event_types = :event_types, name = :name,
    description = :description, headers = :headers, filter = :filter,
    filtered_at = :filtered_at, channels = :channels, channels_at = :channels_at,
    reference = :reference, metadata = :metadata, rate_limit = :rate_limit, burst = :burst,
    retry_delays = :retry_delays, timeout = :timeout, kind = :kind, sealed_url = :sealed_url,
    changed_at = :now
WHERE id = :id

-- name: delete_endpoint
-- The row is kept without its confidential data, because deliveries in the log refer to it.
UPDATE {schema}endpoints SET removed_at = :now, changed_at = :now, headers = :no_headers,
    sealed_url = NULL, stale_before = :stale_before, stale_reason = 'endpoint deleted'
WHERE id = :id AND removed_at IS NULL

-- name: disable_endpoint
UPDATE {schema}endpoints SET disabled_reason = :reason, disabled_at = :now, changed_at = :now,
    stale_before = :stale_before, stale_reason = :stale_reason
WHERE id = :id AND (disabled_reason = '' OR disabled_reason <> :reason AND :overrides)
    AND removed_at IS NULL

-- name: mark_stale
-- A test of a disabled endpoint: what becomes of it if nobody has it any more.
UPDATE {schema}endpoints SET stale_before = :stale_before, stale_reason = :stale_reason WHERE id = :id

-- name: set_rest
UPDATE {schema}endpoints SET rests_until = :until, rest_reason = :reason,
    rest_began_at = :began_at, rest_span = :span, rest_lifted_at = :lifted_at
WHERE id = :id

-- name: redate_rests
-- Rests that began in the future, because the clock was set back since. They restart now with the
-- same length. A rest that was lifted in the future would make every Retry-After be ignored until
-- then.
UPDATE {schema}endpoints SET
    rests_until = CASE WHEN rest_began_at > :latest THEN :now + (rests_until - rest_began_at) ELSE rests_until END,
    rest_began_at = CASE WHEN rest_began_at > :latest THEN :now ELSE rest_began_at END,
    rest_lifted_at = CASE WHEN rest_lifted_at > :now THEN :now ELSE rest_lifted_at END
WHERE (rests_until > 0 AND rest_began_at > :latest) OR rest_lifted_at > :now
RETURNING id, rests_until, rest_reason, rest_began_at, rest_span, rest_lifted_at

-- name: resting_of
SELECT id, rests_until FROM {schema}endpoints
WHERE id = ANY(:ids::bigint[]) AND rests_until > :now AND disabled_reason = ''
    AND removed_at IS NULL

-- name: create_secret
INSERT INTO {schema}secrets (endpoint_id, created_at, sealed)
VALUES (:endpoint_id, :created_at, :sealed)

-- name: secrets_of
SELECT sealed, created_at, retires_at FROM {schema}secrets
WHERE endpoint_id = :endpoint_id ORDER BY created_at DESC

-- name: retire_current
UPDATE {schema}secrets SET retires_at = :retires_at
WHERE endpoint_id = :endpoint_id AND retires_at IS NULL

-- name: forget_secrets
DELETE FROM {schema}secrets WHERE endpoint_id = :endpoint_id

-- name: forget_retired
DELETE FROM {schema}secrets WHERE retires_at <= :now RETURNING endpoint_id

-- name: any_secret
SELECT endpoint_id, sealed, created_at FROM {schema}secrets LIMIT 1

-- name: lock_enabled_endpoints
-- Locked until the claims are committed, so that disabling the endpoint waits and then finds them
-- claimed.
SELECT id, stale_before, rests_until FROM {schema}endpoints
WHERE id = ANY(:endpoints::bigint[]) AND disabled_reason = '' AND removed_at IS NULL
ORDER BY id FOR SHARE
