"""What may be done only so often: logins that fail, and requests by token bucket."""
