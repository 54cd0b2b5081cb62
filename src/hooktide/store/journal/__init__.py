"""The audit log, and operational events to be published."""
