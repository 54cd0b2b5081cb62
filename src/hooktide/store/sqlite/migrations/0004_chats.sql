-- What an endpoint is, and the whole URL where that is a secret: then url is what may be shown of it.
ALTER TABLE endpoints ADD COLUMN kind TEXT NOT NULL DEFAULT 'webhook';
ALTER TABLE endpoints ADD COLUMN sealed_url BLOB;
