-- Deliveries.

-- name: deliveries
-- A pending delivery becomes due no earlier than its endpoint's rest ends.
SELECT d.id, d.project_id, d.account_id, d.event_id, d.endpoint_id, e.type, d.origin, d.state,
    d.attempts, CASE WHEN d.state = 'pending' AND NOT (d.origin = 'resend' AND d.attempts = 0)
        THEN greatest(d.due_at,
            coalesce((SELECT rests_until FROM {schema}endpoints WHERE id = d.endpoint_id), 0))
        ELSE d.due_at END, d.ended_at, d.reason, d.state = 'pending' AND d.claim > 0
FROM {schema}deliveries AS d JOIN {schema}events AS e ON e.id = d.event_id
