-- By what values of their payloads events are found (domain/searching/index.py); in partitions by event,
-- which are dropped with the log's.
CREATE TABLE hooktide.event_terms (
    event_id bigint NOT NULL,
    place integer NOT NULL,             -- of the path, among its project's
    start integer NOT NULL,             -- the number of the word that the term begins with; 0: it is the whole value
    project_id bigint NOT NULL,
    account_id bigint NOT NULL,
    term text COLLATE "C" NOT NULL,
    shown text NOT NULL,                -- the value for people; empty where start is not 0
    PRIMARY KEY (event_id, place, start)
) PARTITION BY RANGE (event_id);
CREATE INDEX event_terms_by_project ON hooktide.event_terms (project_id, term, event_id);
CREATE INDEX event_terms_by_account ON hooktide.event_terms (account_id, term, event_id);
CREATE TABLE hooktide.event_terms_default PARTITION OF hooktide.event_terms DEFAULT;

-- The days that the log has already.
DO $$
DECLARE day record;
BEGIN
    FOR day IN
        SELECT replace(child.relname, 'events_', 'event_terms_') AS name,
            pg_get_expr(child.relpartbound, child.oid) AS bounds
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = 'hooktide.events'::regclass AND child.relname <> 'events_default'
    LOOP
        EXECUTE format('CREATE TABLE hooktide.%I PARTITION OF hooktide.event_terms %s', day.name, day.bounds);
    END LOOP;
END $$;

-- How far the events of a project are indexed, by the paths that it has now.
CREATE TABLE hooktide.search_indexes (
    project_id bigint PRIMARY KEY,
    paths text NOT NULL,                -- JSON array
    upto bigint NOT NULL,               -- larger ids are not indexed yet
    complete_from bigint NOT NULL,      -- from this id on, up to the other, all are
    filling integer NOT NULL DEFAULT 0, -- whether older ones are being indexed
    filled bigint NOT NULL DEFAULT 0,
    started_at bigint,
    ended_at bigint
) WITH (fillfactor = 50);
