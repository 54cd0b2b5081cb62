-- Which answer of its script a bin gives next, in whatever process it is asked.
ALTER TABLE bins ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
