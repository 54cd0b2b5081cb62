"""What ``/health/live`` and ``/health/ready`` answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from hooktide.web.http.exchange import Exchange, Handler
from hooktide.web.http.state import Handlers

JSON = "application/json"
LIVE = b'{"status":"ok"}'
"""The response of a process that is alive."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Why a server is not ready (empty: it is), and what needs an operator's attention in any
    case."""

    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def body(self) -> bytes:
        """Return the response body."""
        return msgspec.json.encode(
            {
                "status": "not ready" if self.reasons else "ok",
                "reasons": self.reasons,
                "warnings": self.warnings,
            }
        )


def live_handlers(prefix: str) -> Handlers:
    """Return the handlers for the liveness probe, which needs no task; ``prefix``: of the site."""
    return {("GET", path): Handler(_live) for path in ("/health/live", f"{prefix}/health/live")}


def _live(exchange: Exchange) -> bool:
    exchange.respond(200, LIVE, [(b"content-type", b"application/json")])
    return True
