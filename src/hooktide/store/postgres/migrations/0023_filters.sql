-- Which payloads an endpoint gets, as JSON (empty: all), and since when (domain/filtering/filter.py).
ALTER TABLE hooktide.endpoints ADD COLUMN filter text NOT NULL DEFAULT '';
ALTER TABLE hooktide.endpoints ADD COLUMN filtered_at bigint NOT NULL DEFAULT 0;
