-- Which payloads an endpoint gets, as JSON (empty: all), and since when (domain/filtering/filter.py).
ALTER TABLE endpoints ADD COLUMN filter TEXT NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN filtered_at INTEGER NOT NULL DEFAULT 0;
