"""What was done and what happened: the audit log, and operational events to be published."""
