-- What a product attaches (domain/labels.py). Channels decide who gets an event; tags, references and
-- metadata only say what a thing is. Channels and tags are JSON arrays, metadata is a JSON object.
ALTER TABLE events ADD COLUMN channels TEXT NOT NULL DEFAULT '';     -- empty: none
ALTER TABLE events ADD COLUMN tags TEXT NOT NULL DEFAULT '';         -- empty: none
ALTER TABLE endpoints ADD COLUMN channels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE endpoints ADD COLUMN channels_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN reference TEXT NOT NULL DEFAULT ''; -- empty: none
ALTER TABLE endpoints ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX endpoints_by_reference ON endpoints (account_id, reference)
WHERE reference <> '' AND removed_at IS NULL;
