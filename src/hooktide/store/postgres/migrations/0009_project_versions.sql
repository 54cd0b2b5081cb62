-- PostgreSQL's projects have had a version from the start; SQLite gets it here.
SELECT 1;
