-- Histograms of accounts, added up from those of their endpoints.
INSERT INTO hooktide.histograms (subject_id, hour, project_id, account_id, latency, delay)
SELECT account_id, hour, project_id, account_id,
    coalesce(json_object_agg(bucket, many) FILTER (WHERE what = 'latency'), '{}'),
    coalesce(json_object_agg(bucket, many) FILTER (WHERE what = 'delay'), '{}')
FROM (
    SELECT n.account_id, n.hour, n.project_id, 'latency'::text AS what, j.key AS bucket, sum(j.value::bigint) AS many
    FROM hooktide.histograms AS n, json_each_text(n.latency::json) AS j WHERE n.account_id <> 0
    GROUP BY n.account_id, n.hour, n.project_id, j.key
    UNION ALL
    SELECT n.account_id, n.hour, n.project_id, 'delay'::text AS what, j.key AS bucket, sum(j.value::bigint) AS many
    FROM hooktide.histograms AS n, json_each_text(n.delay::json) AS j WHERE n.account_id <> 0
    GROUP BY n.account_id, n.hour, n.project_id, j.key) AS counted
WHERE TRUE
GROUP BY account_id, hour, project_id
ON CONFLICT (subject_id, hour) DO NOTHING;
