-- What waited before the triggers were there. Rows and counts are of one snapshot, and what is missing
-- does not change from one to the next, so deliveries go on meanwhile.
INSERT INTO hooktide.waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
SELECT endpoint_id, account_id, project_id, sum(waiting), sum(retries), sum(held) FROM (
    SELECT endpoint_id, account_id, project_id, count(*) FILTER (WHERE state = 'pending') AS waiting,
        count(*) FILTER (WHERE state = 'pending' AND attempts > 0) AS retries,
        count(*) FILTER (WHERE state = 'held') AS held
    FROM hooktide.queue WHERE claim = 0 GROUP BY endpoint_id, account_id, project_id
    UNION ALL
    SELECT endpoint_id, account_id, project_id, -waiting, -retries, -held FROM hooktide.waiting_counts
) AS missing
GROUP BY endpoint_id, account_id, project_id
HAVING sum(waiting) <> 0 OR sum(retries) <> 0 OR sum(held) <> 0;
