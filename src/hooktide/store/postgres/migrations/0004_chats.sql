-- What an endpoint is, and the whole URL where that is a secret: then url is what may be shown of it.
ALTER TABLE hooktide.endpoints ADD COLUMN kind text NOT NULL DEFAULT 'webhook';
ALTER TABLE hooktide.endpoints ADD COLUMN sealed_url bytea;
