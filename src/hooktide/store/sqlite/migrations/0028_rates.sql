-- Requests a second to an endpoint, and to all endpoints of an account, and how many of them at once.
ALTER TABLE endpoints ADD COLUMN rate_limit INTEGER;
ALTER TABLE endpoints ADD COLUMN burst INTEGER;
ALTER TABLE accounts ADD COLUMN rate_limit INTEGER;
ALTER TABLE accounts ADD COLUMN burst INTEGER;
