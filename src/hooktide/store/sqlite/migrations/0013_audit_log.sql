-- The log of changes becomes the audit log: also from where, and what it was before and after.
ALTER TABLE changes RENAME TO audit_log;
ALTER TABLE audit_log RENAME COLUMN who TO actor;
ALTER TABLE audit_log RENAME COLUMN what TO action;
ALTER TABLE audit_log RENAME COLUMN subject TO target;
ALTER TABLE audit_log ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN before TEXT NOT NULL DEFAULT '{}';  -- JSON: the facts that differ
ALTER TABLE audit_log ADD COLUMN after TEXT NOT NULL DEFAULT '{}';
DROP INDEX changes_by_project;
DROP INDEX changes_by_account;
DROP INDEX changes_by_subject;
CREATE INDEX audit_log_by_project ON audit_log (project_id, id);
CREATE INDEX audit_log_by_account ON audit_log (account_id, id);
CREATE INDEX audit_log_by_target ON audit_log (target, id);
