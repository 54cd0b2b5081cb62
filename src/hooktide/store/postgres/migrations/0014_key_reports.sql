-- Which keys of the key file each server process has read: none may seal before all of them open.
CREATE TABLE hooktide.key_reports (
    process text PRIMARY KEY,
    key_ids text NOT NULL,
    seen_at bigint NOT NULL
);
-- Raised when an account's portal links are revoked; a link carries the number it was made with.
ALTER TABLE hooktide.accounts ADD COLUMN link_generation integer NOT NULL DEFAULT 0;
