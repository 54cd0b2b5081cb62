-- A bin's page has a token of its own: the URL that receives neither shows nor scripts the bin.
ALTER TABLE hooktide.bins ADD COLUMN page_token text NOT NULL DEFAULT '';
UPDATE hooktide.bins SET page_token = substr(replace(gen_random_uuid()::text, '-', ''), 1, 24);
CREATE UNIQUE INDEX bins_by_page ON hooktide.bins (page_token);
