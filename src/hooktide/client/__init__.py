"""A typed client for the whole API, which retries requests where that is safe.

``Client`` blocks, ``AsyncClient`` is for asyncio; their operations are written once, in ``areas``.
``errors`` has the exceptions, ``hooktide.wire`` the models of requests and responses. No server
code is imported.
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
