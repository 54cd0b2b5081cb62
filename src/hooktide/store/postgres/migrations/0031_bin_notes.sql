-- Who sent a bin a request (empty: this machine), and what a person wrote about it.
ALTER TABLE hooktide.bin_requests ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE hooktide.bin_requests ADD COLUMN note text NOT NULL DEFAULT '';
