"""Who may come in, and as whom: API keys, users and their passwords, portal links."""
