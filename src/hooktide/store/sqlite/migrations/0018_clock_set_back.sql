-- The newest instant of a clock that was set back afterwards: the audit trusts no order of instants
-- before it.
ALTER TABLE clock_mark ADD COLUMN set_back_from INTEGER NOT NULL DEFAULT 0;
