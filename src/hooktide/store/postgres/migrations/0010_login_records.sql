-- Failed password logins and known addresses, by the digest of a name, an address, or both.
CREATE TABLE hooktide.login_records (
    place bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at bigint NOT NULL,
    blocked_until bigint NOT NULL,
    succeeded_at bigint NOT NULL  -- 0: no login succeeded
);
