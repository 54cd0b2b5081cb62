"""The management API, one file per area; each operation declares its models and its document."""
