-- Requests a second to an endpoint, and to all endpoints of an account, and how many of them at once.
ALTER TABLE hooktide.endpoints ADD COLUMN rate_limit integer;
ALTER TABLE hooktide.endpoints ADD COLUMN burst integer;
ALTER TABLE hooktide.accounts ADD COLUMN rate_limit integer;
ALTER TABLE hooktide.accounts ADD COLUMN burst integer;

-- Up to when the requests of a rate are reserved, and by which processes
-- (domain/throttling/timeline.py). After a crash of the server they begin anew, without a burst.
CREATE UNLOGGED TABLE hooktide.timelines (
    owner_id bigint PRIMARY KEY,
    span bigint NOT NULL,
    burst bigint NOT NULL,
    reserved_to bigint NOT NULL,
    first_at bigint NOT NULL,
    taken bigint NOT NULL,
    share bigint NOT NULL
) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE hooktide.timeline_users (
    owner_id bigint NOT NULL,
    node integer NOT NULL,
    asked_at bigint NOT NULL,
    PRIMARY KEY (owner_id, node)
) WITH (fillfactor = 50);
