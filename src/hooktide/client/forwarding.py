"""Forwards requests unchanged, for ``hooktide listen``."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from hooktide.client.errors import UnreachableError

OURS = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
"""Headers that belong to a connection; the new one has its own."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The response of the other side."""

    status: int
    duration_ms: float


class Forwarder:
    """Sends requests to one URL: method, headers and body as given, with nothing added.

    It follows no redirects and uses no proxy, since it is for this machine.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self._url = url
        self._http = httpx.Client(timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Forwarded:
        """Send a request.

        :raises UnreachableError: no response arrived.
        """
        kept = [
            (name.encode("latin-1"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers
            if name.lower() not in OURS
        ]
        request = httpx.Request(method, self._url, headers=kept, content=body)
        began = time.monotonic()
        try:
            status = self._http.send(request).status_code
        except httpx.HTTPError as error:
            reason = str(error) or "no response in time"
            raise UnreachableError(f"{self._url}: {reason}", sent=True) from error
        return Forwarded(status, (time.monotonic() - began) * 1000)
