-- The search index of payloads.

-- name: set_index
-- Events that are not indexed yet are indexed by the new paths. If there were no paths before, only
-- new events are indexed.
INSERT INTO {schema}search_indexes AS s (project_id, paths, upto, complete_from)
VALUES (:project_id, :paths, :upto, :complete_from)
ON CONFLICT (project_id) DO UPDATE SET paths = excluded.paths,
    upto = CASE WHEN s.paths = '[]' THEN excluded.upto ELSE s.upto END,
    complete_from = CASE WHEN s.paths = '[]' THEN excluded.complete_from ELSE s.upto + 1 END

-- name: last_event_of_project
SELECT max(id) FROM {schema}events WHERE project_id = :project_id

-- name: has_event_before
SELECT 1 FROM {schema}events WHERE project_id = :project_id AND id < :before LIMIT 1

-- name: search_indexes
SELECT project_id, paths, upto, complete_from, filling, filled, started_at, ended_at FROM {schema}search_indexes

-- name: waiting_indexes
-- Projects with something to index. They are read without a lock, because locking a row writes.
SELECT s.project_id FROM {schema}search_indexes AS s
WHERE s.filling = 1 OR s.paths <> '[]' AND EXISTS (
    SELECT 1 FROM {schema}events AS e WHERE e.project_id = s.project_id AND e.id > s.upto AND e.id <= :settled)
ORDER BY s.project_id

-- name: take_index
-- One process at a time indexes a project.
SELECT paths, upto, complete_from, filling FROM {schema}search_indexes
WHERE project_id = :project_id FOR UPDATE SKIP LOCKED

-- name: hold_index
-- Locked, so that events are not indexed while they are erased or dropped.
SELECT project_id FROM {schema}search_indexes WHERE project_id = :project_id FOR UPDATE

-- name: hold_index_of_account
SELECT project_id FROM {schema}search_indexes
WHERE project_id = (SELECT project_id FROM {schema}accounts WHERE id = :account_id) FOR UPDATE

-- name: hold_indexes_of_events
SELECT project_id FROM {schema}search_indexes
WHERE project_id IN (SELECT project_id FROM {schema}events WHERE id = ANY(:ids::bigint[]))
ORDER BY project_id FOR UPDATE

-- name: events_to_index
SELECT id, account_id, octet_length(payload) FROM {schema}events
WHERE project_id = :project_id AND id > :after AND id <= :upto ORDER BY id LIMIT :limit

-- name: events_to_fill
SELECT id, account_id, octet_length(payload) FROM {schema}events
WHERE project_id = :project_id AND id < :before ORDER BY id DESC LIMIT :limit

-- name: newest_events
SELECT id, account_id, octet_length(payload) FROM {schema}events
WHERE project_id = :project_id AND id > :after AND id < :before
    AND account_id = coalesce(:account_id::bigint, account_id)
ORDER BY id DESC LIMIT :limit

-- name: payloads_of
SELECT id, payload FROM {schema}events WHERE id = ANY(:ids::bigint[]) AND id >= :first AND id <= :last

-- name: move_index
UPDATE {schema}search_indexes SET upto = :upto WHERE project_id = :project_id

-- name: start_filling
-- A complete index is rebuilt from the beginning. An incomplete one continues where it stopped.
UPDATE {schema}search_indexes SET filling = 1, filled = 0, started_at = :now, ended_at = NULL,
    complete_from = CASE WHEN complete_from = 0 THEN upto + 1 ELSE complete_from END
WHERE project_id = :project_id AND filling = 0

-- name: move_filling
UPDATE {schema}search_indexes SET complete_from = :complete_from, filled = filled + :filled
WHERE project_id = :project_id

-- name: end_filling
UPDATE {schema}search_indexes SET complete_from = 0, filling = 0, ended_at = :now
WHERE project_id = :project_id

-- name: drop_terms_of_events
DELETE FROM {schema}event_terms WHERE event_id = ANY(:ids::bigint[]) AND event_id >= :first AND event_id <= :last

-- name: terms_of_project
-- The terms with a prefix. Hops from term to term, however many events have each.
WITH RECURSIVE found (term, number) AS (
    SELECT (
        SELECT t.term FROM {schema}event_terms AS t
        WHERE t.project_id = :owner AND t.term >= :low AND t.term < :high
        ORDER BY t.term LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT t.term FROM {schema}event_terms AS t
        WHERE t.project_id = :owner AND t.term > found.term AND t.term < :high
        ORDER BY t.term LIMIT 1), found.number + 1
    FROM found WHERE found.term IS NOT NULL AND found.number < :limit)
SELECT term FROM found WHERE term IS NOT NULL ORDER BY number

-- name: terms_of_account
WITH RECURSIVE found (term, number) AS (
    SELECT (
        SELECT t.term FROM {schema}event_terms AS t
        WHERE t.account_id = :owner AND t.term >= :low AND t.term < :high
        ORDER BY t.term LIMIT 1), 1
    UNION ALL
    SELECT (
        SELECT t.term FROM {schema}event_terms AS t
        WHERE t.account_id = :owner AND t.term > found.term AND t.term < :high
        ORDER BY t.term LIMIT 1), found.number + 1
    FROM found WHERE found.term IS NOT NULL AND found.number < :limit)
SELECT term FROM found WHERE term IS NOT NULL ORDER BY number

-- name: titles_of_events
SELECT event_id, shown FROM {schema}event_terms
WHERE event_id = ANY(:ids::bigint[]) AND event_id >= :first AND event_id <= :last AND start = 0
ORDER BY event_id, place
