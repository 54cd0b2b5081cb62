"""A client for programs that publish: the whole API, typed, repeated where that is safe.

``Client`` waits, ``AsyncClient`` is for asyncio; both are one text. ``errors`` has the tree of what
they raise, ``shapes`` what the API gives and takes. Nothing of the server is imported.
"""

from hooktide.client.asynchronous import AsyncClient
from hooktide.client.blocking import Client
from hooktide.client.calls import Patience
from hooktide.client.errors import (
    ClientError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    LimitError,
    NotFoundError,
    ProblemError,
    ServerError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from hooktide.client.shapes import NewEvent, json_of

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "ForbiddenError",
    "InvalidError",
    "LimitError",
    "NewEvent",
    "NotFoundError",
    "Patience",
    "ProblemError",
    "ServerError",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "json_of",
]
