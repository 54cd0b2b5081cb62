"""Hooktide sends a product's webhooks: accepted durably, signed in its own format, retried."""

__version__ = "0.1.0"
