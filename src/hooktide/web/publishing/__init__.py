"""The hot path, ``POST /v1/events``: ``events`` reads a request, ``publish_handler`` answers it."""
