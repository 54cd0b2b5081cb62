"""Access control: API keys, users, their sessions, the record of failed logins, and the stash."""
