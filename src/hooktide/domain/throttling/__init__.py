"""Rate limits: failed logins, and requests by token bucket."""
