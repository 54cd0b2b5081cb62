"""Projects: all that they are, their event types and their plans."""
