-- Grows with each change of a project; an edit expects the version that it read.
ALTER TABLE projects ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
