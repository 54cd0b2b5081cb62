-- How many deliveries wait for each endpoint: pending and unclaimed, those of them that were attempted
-- before, and held. It is the sum of an endpoint's rows: each transaction appends what it changed, and
-- once a second they are folded into one. Triggers do it, so every statement is counted, those of
-- servers of the version before as well. A delivery on its ordinary way is claimed from the start until
-- it has ended, and changes nothing here: that is seen first, as it costs least.
CREATE TABLE hooktide.waiting_counts (
    endpoint_id bigint NOT NULL,
    account_id bigint NOT NULL,
    project_id bigint NOT NULL,
    waiting bigint NOT NULL,
    retries bigint NOT NULL,            -- of those that wait
    held bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);
CREATE INDEX waiting_counts_by_account ON hooktide.waiting_counts (account_id, endpoint_id);

CREATE FUNCTION hooktide.count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE claim = 0) THEN RETURN NULL; END IF;
    INSERT INTO hooktide.waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
    SELECT endpoint_id, account_id, project_id, count(*) FILTER (WHERE state = 'pending'),
        count(*) FILTER (WHERE state = 'pending' AND attempts > 0), count(*) FILTER (WHERE state = 'held')
    FROM added WHERE claim = 0 GROUP BY endpoint_id, account_id, project_id;
    RETURN NULL;
END $$;

CREATE FUNCTION hooktide.count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM removed WHERE claim = 0) THEN RETURN NULL; END IF;
    INSERT INTO hooktide.waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
    SELECT endpoint_id, account_id, project_id, -count(*) FILTER (WHERE state = 'pending'),
        -count(*) FILTER (WHERE state = 'pending' AND attempts > 0), -count(*) FILTER (WHERE state = 'held')
    FROM removed WHERE claim = 0 GROUP BY endpoint_id, account_id, project_id;
    RETURN NULL;
END $$;

CREATE FUNCTION hooktide.count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE claim = 0 UNION ALL SELECT FROM removed WHERE claim = 0) THEN RETURN NULL; END IF;
    INSERT INTO hooktide.waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
    SELECT endpoint_id, account_id, project_id, sum(waiting), sum(retries), sum(held)
    FROM (
        SELECT endpoint_id, account_id, project_id, (state = 'pending')::integer AS waiting,
            (state = 'pending' AND attempts > 0)::integer AS retries, (state = 'held')::integer AS held
        FROM added WHERE claim = 0
        UNION ALL
        SELECT endpoint_id, account_id, project_id, -(state = 'pending')::integer,
            -(state = 'pending' AND attempts > 0)::integer, -(state = 'held')::integer
        FROM removed WHERE claim = 0
    ) AS moved
    GROUP BY endpoint_id, account_id, project_id
    HAVING sum(waiting) <> 0 OR sum(retries) <> 0 OR sum(held) <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER count_added AFTER INSERT ON hooktide.queue
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION hooktide.count_added();
CREATE TRIGGER count_removed AFTER DELETE ON hooktide.queue
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION hooktide.count_removed();
CREATE TRIGGER count_changed AFTER UPDATE ON hooktide.queue
    REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION hooktide.count_changed();

-- Leads to an endpoint's oldest waiting delivery, and to those that its disable has overtaken.
CREATE INDEX queue_waiting ON hooktide.queue (endpoint_id, id) WHERE state = 'pending' AND claim = 0;
