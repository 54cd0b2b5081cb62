"""The HTTP server of a process: connections, requests, responses, and their limits."""
