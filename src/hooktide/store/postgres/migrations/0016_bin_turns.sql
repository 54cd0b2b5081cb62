-- Which answer of its script a bin gives next, in whatever process it is asked.
ALTER TABLE hooktide.bins ADD COLUMN turn bigint NOT NULL DEFAULT 0;
