"""Retries of a request."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from hooktide.client.errors import UnreachableError
from hooktide.client.requests import Request, Response, read, retry_after
from hooktide.client.server import DEFAULT_URL, Server

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is retried, and after which delays.

    Delays double, from ``first`` to ``longest`` seconds, reduced by a random factor of up to a
    half. A Retry-After is honoured; one beyond ``longest`` is left to the caller.
    """

    retries: int = 4
    first: float = 0.25
    longest: float = 10.0
    chance: Callable[[], float] = random.random

    def after_response(self, request: Request[Any], response: Response, made: int) -> float | None:
        """Return how long to wait before the next attempt after ``made`` of them; None: give up.

        A 429 was not carried out, so any request may be retried. After a 503 or a proxy's 502 it
        may have been, so only repeatable ones are.
        """
        if response.status not in _TEMPORARY:
            return None
        if not request.repeatable and response.status != 429:
            return None
        asked = retry_after(response)
        if asked is not None and asked > self.longest:
            return None
        wait = self.wait(made)
        return None if wait is None else max(wait, asked or 0.0)

    def after_silence(self, request: Request[Any], made: int, *, sent: bool) -> float | None:
        """Return the same for a request without a response."""
        return self.wait(made) if request.repeatable or not sent else None

    def wait(self, made: int) -> float | None:
        """Return how long to wait after so many attempts; None: give up."""
        if made > self.retries:
            return None
        return float(min(self.longest, self.first * 2 ** (made - 1)) * (1 - self.chance() / 2))


_TEMPORARY = frozenset({429, 502, 503, 504, 507})


class Exchange(Generic[T]):
    """The state of a request across attempts.

    After each attempt, ``wait`` is the seconds before the next one; None: there is no other.
    """

    def __init__(self, server: Server, policy: RetryPolicy, request: Request[T]) -> None:
        self.wait: float | None = None
        self._server = server
        self._policy = policy
        self._request = request
        self._made = 0
        self._may_be_done = False
        self._response = Response(0, {}, b"")

    def answered(self, response: Response) -> None:
        """Record an attempt's response."""
        self._made += 1
        self._response = response
        self.wait = self._policy.after_response(self._request, response, self._made)
        if self.wait is not None and response.status != 429:
            self._may_be_done = True

    def unanswered(self, error: Exception, *, sent: bool) -> None:
        """Record that an attempt had no response.

        :raises UnreachableError: it was the last one.
        """
        self._made += 1
        self._may_be_done |= sent
        self.wait = self._policy.after_silence(self._request, self._made, sent=sent)
        if self.wait is None:
            raise silence(self._server, self._request, str(error), sent=sent) from error

    def answer(self) -> T:
        """Return the request's result.

        :raises ClientError: the server refused it.
        """
        request, response = self._request, self._response
        if self._may_be_done and response.status == 404 and request.is_removal:
            response = Response(204, {}, b"")  # an earlier attempt deleted it
        return read(request, response)


def silence(server: Server, request: Request[Any], reason: str, *, sent: bool) -> UnreachableError:
    """Return the exception for a request without a response."""
    why = reason or "it did not answer in time"
    if sent:
        detail = f"the request was sent to {server.url}, but no response arrived ({why})"
        detail += "" if request.method == "GET" else "; it may have been carried out"
    else:
        where = server.url
        if where == DEFAULT_URL:
            where += ", the default of HOOKTIDE_SERVER and --server"
        detail = f"cannot reach {where} ({why}); is the server running?"
    return UnreachableError(detail, sent=sent, idempotency_key=request.idempotency_key)
