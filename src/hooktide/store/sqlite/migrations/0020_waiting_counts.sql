-- How many deliveries wait for each endpoint: pending and unclaimed, those of them that were attempted
-- before, and held. Triggers keep it in the transaction of whatever statement changes a delivery. One on
-- its ordinary way is claimed from the start until it has ended, and never gets here.
CREATE TABLE waiting_counts (
    endpoint_id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    project_id INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    retries INTEGER NOT NULL,           -- of those that wait
    held INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_counts_by_account ON waiting_counts (account_id);

INSERT INTO waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
SELECT endpoint_id, account_id, project_id, sum(waiting), sum(retries), sum(held) FROM (
    SELECT endpoint_id, account_id, project_id, 1 AS waiting, attempts > 0 AS retries, 0 AS held
    FROM deliveries INDEXED BY deliveries_due WHERE state = 'pending' AND claim <= 0
    UNION ALL
    SELECT endpoint_id, account_id, project_id, 0, 0, 1
    FROM deliveries INDEXED BY deliveries_held WHERE state = 'held')
GROUP BY endpoint_id;

-- Leads to an endpoint's oldest waiting delivery, and to those that its disable has overtaken.
CREATE INDEX deliveries_waiting ON deliveries (endpoint_id, id) WHERE state = 'pending' AND claim <= 0;

CREATE TRIGGER count_added AFTER INSERT ON deliveries
WHEN NEW.state = 'held' OR NEW.state = 'pending' AND NEW.claim <= 0
BEGIN
    INSERT INTO waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
    VALUES (NEW.endpoint_id, NEW.account_id, NEW.project_id, NEW.state = 'pending',
        NEW.state = 'pending' AND NEW.attempts > 0, NEW.state = 'held')
    ON CONFLICT (endpoint_id) DO UPDATE SET waiting = waiting + excluded.waiting,
        retries = retries + excluded.retries, held = held + excluded.held;
END;

CREATE TRIGGER count_removed AFTER DELETE ON deliveries
WHEN OLD.state = 'held' OR OLD.state = 'pending' AND OLD.claim <= 0
BEGIN
    UPDATE waiting_counts SET waiting = waiting - (OLD.state = 'pending'),
        retries = retries - (OLD.state = 'pending' AND OLD.attempts > 0), held = held - (OLD.state = 'held')
    WHERE endpoint_id = OLD.endpoint_id;
END;

CREATE TRIGGER count_changed AFTER UPDATE OF state, claim, attempts ON deliveries
WHEN (OLD.state = 'held') <> (NEW.state = 'held')
    OR (OLD.state = 'pending' AND OLD.claim <= 0) <> (NEW.state = 'pending' AND NEW.claim <= 0)
    OR NEW.state = 'pending' AND NEW.claim <= 0 AND (OLD.attempts > 0) <> (NEW.attempts > 0)
BEGIN
    INSERT INTO waiting_counts (endpoint_id, account_id, project_id, waiting, retries, held)
    VALUES (NEW.endpoint_id, NEW.account_id, NEW.project_id,
        (NEW.state = 'pending' AND NEW.claim <= 0) - (OLD.state = 'pending' AND OLD.claim <= 0),
        (NEW.state = 'pending' AND NEW.claim <= 0 AND NEW.attempts > 0)
            - (OLD.state = 'pending' AND OLD.claim <= 0 AND OLD.attempts > 0),
        (NEW.state = 'held') - (OLD.state = 'held'))
    ON CONFLICT (endpoint_id) DO UPDATE SET waiting = waiting + excluded.waiting,
        retries = retries + excluded.retries, held = held + excluded.held;
END;
