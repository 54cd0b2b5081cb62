-- Nothing: one process has this file, so the migration before has filled the counts. The number is here so
-- that one number is one schema in both.
SELECT 1;
