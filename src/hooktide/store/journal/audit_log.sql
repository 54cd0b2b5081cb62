-- The audit log.

-- name: add_audit_entry
INSERT INTO {schema}audit_log (id, project_id, account_id, actor, source, address, action, target, detail,
    before, after)
VALUES (:id, :project_id, :account_id, :actor, :source, :address, :action, :target, :detail, :before,
    :after)

-- name: audit_log
SELECT id, project_id, account_id, actor, source, address, action, target, detail, before, after
FROM {schema}audit_log

-- name: drop_audit_log
DELETE FROM {schema}audit_log WHERE id < :before
