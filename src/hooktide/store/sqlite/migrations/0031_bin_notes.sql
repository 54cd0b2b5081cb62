-- Who sent a bin a request (empty: this machine), and what a person wrote about it.
ALTER TABLE bin_requests ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE bin_requests ADD COLUMN note TEXT NOT NULL DEFAULT '';
