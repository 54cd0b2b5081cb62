"""Hooktide sends a product's webhooks: accepted durably, signed in its own format, retried."""

import importlib
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "AsyncClient": "hooktide.client",
    "Client": "hooktide.client",
    "RawJSON": "hooktide.domain.json.encoding",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a server needs no client, and a client no server."""
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
