-- The newest instant of a clock that was set back afterwards: the audit trusts no order of instants
-- before it.
ALTER TABLE hooktide.clock_mark ADD COLUMN set_back_from bigint NOT NULL DEFAULT 0;
