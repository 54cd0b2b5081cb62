-- The log of changes becomes the audit log: also from where, and what it was before and after.
ALTER TABLE hooktide.changes RENAME TO audit_log;
ALTER TABLE hooktide.audit_log RENAME COLUMN who TO actor;
ALTER TABLE hooktide.audit_log RENAME COLUMN what TO action;
ALTER TABLE hooktide.audit_log RENAME COLUMN subject TO target;
ALTER TABLE hooktide.audit_log ADD COLUMN source text NOT NULL DEFAULT '';
ALTER TABLE hooktide.audit_log ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE hooktide.audit_log ADD COLUMN before text NOT NULL DEFAULT '{}';  -- JSON: the facts that differ
ALTER TABLE hooktide.audit_log ADD COLUMN after text NOT NULL DEFAULT '{}';
ALTER INDEX hooktide.changes_by_project RENAME TO audit_log_by_project;
ALTER INDEX hooktide.changes_by_account RENAME TO audit_log_by_account;
ALTER INDEX hooktide.changes_by_subject RENAME TO audit_log_by_target;
