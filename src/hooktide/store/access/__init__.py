"""Who may come in: API keys, people, their sessions, and what is recorded of failed logins."""
