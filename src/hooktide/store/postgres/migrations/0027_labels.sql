-- What a product attaches (domain/labels.py). Channels decide who gets an event; tags, references and
-- metadata only say what a thing is. Channels and tags are JSON arrays, metadata is a JSON object.
ALTER TABLE hooktide.events ADD COLUMN channels text NOT NULL DEFAULT '';     -- empty: none
ALTER TABLE hooktide.events ADD COLUMN tags text NOT NULL DEFAULT '';         -- empty: none
ALTER TABLE hooktide.endpoints ADD COLUMN channels text NOT NULL DEFAULT '[]';
ALTER TABLE hooktide.endpoints ADD COLUMN channels_at bigint NOT NULL DEFAULT 0;
ALTER TABLE hooktide.endpoints ADD COLUMN reference text NOT NULL DEFAULT ''; -- empty: none
ALTER TABLE hooktide.endpoints ADD COLUMN metadata text NOT NULL DEFAULT '';
ALTER TABLE hooktide.accounts ADD COLUMN metadata text NOT NULL DEFAULT '';
ALTER TABLE hooktide.emitted ADD COLUMN channels text NOT NULL DEFAULT '';
ALTER TABLE hooktide.emitted ADD COLUMN tags text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX endpoints_by_reference ON hooktide.endpoints (account_id, reference)
WHERE reference <> '' AND removed_at IS NULL;
