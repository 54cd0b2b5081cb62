-- Nothing: no application shares this file. PostgreSQL has a table for events that applications emit;
-- the number is here so that one number is one schema in both.
SELECT 1;
