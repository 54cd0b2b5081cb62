-- Sealed values, for key rotation.

-- name: sealed_prefixes
SELECT prefix, count(*) FROM (
    SELECT CASE WHEN substr(headers, 1, 3) = :mark THEN substr(headers, 1, :bytes::integer) ELSE :none END AS prefix FROM {schema}endpoints
    UNION ALL SELECT CASE WHEN substr(sealed_url, 1, 3) = :mark THEN substr(sealed_url, 1, :bytes::integer) ELSE :none END FROM {schema}endpoints WHERE sealed_url IS NOT NULL
    UNION ALL SELECT CASE WHEN substr(sealed, 1, 3) = :mark THEN substr(sealed, 1, :bytes::integer) ELSE :none END FROM {schema}secrets
) AS sealed_values GROUP BY prefix

-- name: endpoints_to_reseal
SELECT id, headers, sealed_url FROM {schema}endpoints
WHERE substr(headers, 1, :bytes::integer) <> :prefix OR substr(sealed_url, 1, :bytes::integer) <> :prefix
LIMIT :limit FOR UPDATE

-- name: reseal_endpoint
UPDATE {schema}endpoints SET headers = :headers, sealed_url = :sealed_url WHERE id = :id

-- name: secrets_to_reseal
SELECT endpoint_id, created_at, sealed FROM {schema}secrets
WHERE substr(sealed, 1, :bytes::integer) <> :prefix
LIMIT :limit FOR UPDATE

-- name: reseal_secret
UPDATE {schema}secrets SET sealed = :sealed
WHERE endpoint_id = :endpoint_id AND created_at = :created_at
