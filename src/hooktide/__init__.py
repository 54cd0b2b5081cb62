"""Hooktide sends a product's webhooks: accepted durably, signed in its own format, retried."""

import importlib
from typing import Any

__version__ = "0.1.0"

_CLIENTS = {"AsyncClient", "Client"}


def __getattr__(name: str) -> Any:
    """Import a client when it is asked for: a server needs none, and a client no server."""
    if name in _CLIENTS:
        return getattr(importlib.import_module("hooktide.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
