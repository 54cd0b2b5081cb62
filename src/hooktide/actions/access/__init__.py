"""Access: API keys, users and their passwords, portal links."""
