-- What one request of a page leaves for the next: a secret to show once, a form to show again.
CREATE TABLE stash (
    place BLOB PRIMARY KEY,             -- SHA-256 of the session and the page that it is for
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
