-- A bin's page has a token of its own: the URL that receives neither shows nor scripts the bin.
ALTER TABLE bins ADD COLUMN page_token TEXT NOT NULL DEFAULT '';
UPDATE bins SET page_token = lower(hex(randomblob(12)));
CREATE UNIQUE INDEX bins_by_page ON bins (page_token);
