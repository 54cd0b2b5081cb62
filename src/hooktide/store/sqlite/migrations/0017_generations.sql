-- Nothing: one process has this file. PostgreSQL notes here which processes are there; the number is
-- here so that one number is one schema in both.
SELECT 1;
