-- What one request of a page leaves for the next: a secret to show once, a form to show again.
CREATE TABLE hooktide.stash (
    place bytea PRIMARY KEY,            -- SHA-256 of the session and the page that it is for
    sealed bytea NOT NULL,
    expires_at bigint NOT NULL
);
