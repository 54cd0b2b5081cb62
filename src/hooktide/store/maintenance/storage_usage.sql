-- The storage usage of each project.

-- name: storage_usage
-- A delivery has its number of attempts, so the attempts themselves are not read.
SELECT p.id, p.name, coalesce(e.events, 0), coalesce(d.deliveries, 0), coalesce(d.attempts, 0),
    coalesce(e.payload_bytes, 0), e.oldest >> 11
FROM {schema}projects AS p
LEFT JOIN (
    SELECT project_id, count(*) AS events, sum(octet_length(payload))::bigint AS payload_bytes,
        min(id) AS oldest
    FROM {schema}events GROUP BY project_id) AS e ON e.project_id = p.id
LEFT JOIN (
    SELECT project_id, count(*) AS deliveries, sum(attempts)::bigint AS attempts
    FROM {schema}deliveries GROUP BY project_id) AS d ON d.project_id = p.id
WHERE p.removed_at IS NULL OR e.events > 0 ORDER BY p.name, p.id
