"""A client for programs that publish: the whole API, typed, repeated where that is safe.

``Client`` waits, ``AsyncClient`` is for asyncio; the operations of both are written once, in
``areas``. ``errors`` has the tree of what they raise, ``hooktide.wire`` the models of what the API
gives and takes. Nothing of the server is imported.
"""

from hooktide.client.api import AsyncClient, Client
from hooktide.client.errors import (
    ClientError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    LimitError,
    NaiveDatetimeError,
    NotFoundError,
    ProblemError,
    ServerError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from hooktide.client.publishing import NewEvent, Published, json_of
from hooktide.client.retries import RetryPolicy

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "ForbiddenError",
    "InvalidError",
    "LimitError",
    "NaiveDatetimeError",
    "NewEvent",
    "NotFoundError",
    "ProblemError",
    "Published",
    "RetryPolicy",
    "ServerError",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "json_of",
]
