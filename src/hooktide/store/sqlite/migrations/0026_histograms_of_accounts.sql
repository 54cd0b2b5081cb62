-- Histograms of accounts, added up from those of their endpoints.
INSERT INTO histograms (subject_id, hour, project_id, account_id, latency, delay)
SELECT account_id, hour, project_id, account_id,
    json_group_object(bucket, many) FILTER (WHERE what = 'latency'),
    json_group_object(bucket, many) FILTER (WHERE what = 'delay')
FROM (
    SELECT n.account_id, n.hour, n.project_id, 'latency' AS what, j.key AS bucket, sum(j.value) AS many
    FROM histograms AS n, json_each(n.latency) AS j WHERE n.account_id <> 0
    GROUP BY n.account_id, n.hour, n.project_id, j.key
    UNION ALL
    SELECT n.account_id, n.hour, n.project_id, 'delay' AS what, j.key AS bucket, sum(j.value) AS many
    FROM histograms AS n, json_each(n.delay) AS j WHERE n.account_id <> 0
    GROUP BY n.account_id, n.hour, n.project_id, j.key) AS counted
WHERE TRUE
GROUP BY account_id, hour, project_id
ON CONFLICT (subject_id, hour) DO NOTHING;
