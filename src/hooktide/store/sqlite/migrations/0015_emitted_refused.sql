-- Nothing: no application shares this file (see 0006). PostgreSQL has an index for refused rows.
SELECT 1;
