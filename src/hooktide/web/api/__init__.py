"""The management API, one file an area; each operation says its own wire format and document."""
