"""What answers requests over HTTP."""
