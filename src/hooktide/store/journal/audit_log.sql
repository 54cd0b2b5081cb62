-- The audit log.

-- name: add_audit_entry
INSERT INTO {schema}audit_log (id, project_id, account_id, actor, source, address, action, target, detail,
    before, after)
VALUES (:id, :project_id, :account_id, :actor, :source, :address, :action, :target, :detail, :before,
    :after)

-- name: audit_log
SELECT id, project_id, account_id, actor, source, address, action, target, detail, before, after
FROM {schema}audit_log

-- name: last_actions
SELECT target, action, id FROM {schema}audit_log WHERE id IN (
    SELECT max(id) FROM {schema}audit_log
    WHERE target = ANY(:targets::text[]) AND action = ANY(:actions::text[]) AND id < :before
        AND project_id = coalesce(:project_id::bigint, project_id)
        AND account_id = coalesce(:account_id::bigint, account_id)
    GROUP BY target)

-- name: drop_audit_log
DELETE FROM {schema}audit_log WHERE id < :before
