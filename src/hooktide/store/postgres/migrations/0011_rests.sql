-- Until when an endpoint rests because its receiver asked for it, and why (domain/delivery/rest.py).
ALTER TABLE hooktide.endpoints ADD COLUMN rests_until bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoints ADD COLUMN rest_reason text NOT NULL DEFAULT '';
ALTER TABLE hooktide.endpoints ADD COLUMN rest_began_at bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoints ADD COLUMN rest_span bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoints ADD COLUMN rest_lifted_at bigint NOT NULL DEFAULT 0;
CREATE INDEX endpoints_resting ON hooktide.endpoints (rests_until) WHERE rests_until > 0;
-- What is sent although its endpoint rests.
CREATE INDEX queue_resent ON hooktide.queue (endpoint_id, due_at)
    WHERE state = 'pending' AND claim = 0 AND origin = 'resend' AND attempts = 0;
