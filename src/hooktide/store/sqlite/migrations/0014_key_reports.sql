-- Which keys of the key file each server process has read: none may seal before all of them open.
CREATE TABLE key_reports (
    process TEXT PRIMARY KEY,
    key_ids TEXT NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Raised when an account's portal links are revoked; a link carries the number it was made with.
ALTER TABLE accounts ADD COLUMN link_generation INTEGER NOT NULL DEFAULT 0;
