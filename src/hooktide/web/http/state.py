"""What the connections of a server share."""

from collections.abc import Mapping
from typing import TypeAlias

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from hooktide.runtime.write_coalescer import WriteCoalescer
from hooktide.web.http.exchange import Handler

Handlers: TypeAlias = Mapping[tuple[str, str], Handler]
"""What answers requests without a task, by method and path."""


class State(ServerState):
    """uvicorn's state of a server, and what answers its requests.

    ``application`` answers requests without a handler. ``ending``: each connection ends with its
    next response. ``coalescer`` batches the writes of all connections.
    """

    def __init__(self, application: ASGIApp, handlers: Handlers) -> None:
        super().__init__()
        self.application = application
        self.handlers = handlers
        self.ending = False
        self.coalescer = WriteCoalescer()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every response; uvicorn sets them once a second."""
        return self._default_headers

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._default_headers = headers
        self.default_head = b"".join(b"%b: %b\r\n" % header for header in headers)
