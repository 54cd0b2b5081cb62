-- Failed password logins and known addresses, by the digest of a name, an address, or both.
CREATE TABLE login_records (
    place BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    succeeded_at INTEGER NOT NULL  -- 0: no login succeeded
) STRICT, WITHOUT ROWID;
