-- Until when an endpoint rests because its receiver asked for it, and why (domain/delivery/rest.py).
ALTER TABLE endpoints ADD COLUMN rests_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN rest_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN rest_began_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN rest_span INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN rest_lifted_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX endpoints_resting ON endpoints (rests_until) WHERE rests_until > 0;
-- What is sent although its endpoint rests.
CREATE INDEX deliveries_resent ON deliveries (endpoint_id, due_at)
    WHERE state = 'pending' AND claim <= 0 AND origin = 'resend' AND attempts = 0;
