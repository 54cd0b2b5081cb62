"""The client's exceptions. Each message says what was requested and what to do.

ClientError
├── UnreachableError          no response arrived; `sent` says whether the request may have been
│                             carried out
├── NaiveDatetimeError        a datetime without a time zone was given; a ValueError too
├── UnexpectedAnswerError     the response is not from a compatible Hooktide server
└── ProblemError              the server refused: type, code, detail, instance, errors, status
    ├── InvalidError          400, 413, 415, 422, 431: change the request; `errors` says where
    ├── UnauthorizedError     401: the key is unknown or revoked
    ├── ForbiddenError        403: the key's scope does not allow this
    ├── NotFoundError         404: not found, or outside the key's scope
    ├── ConflictError         409: conflicts with the current state
    ├── LimitError            a plan's limit (403 or 429): `limit`, `retry_after`
    └── ServerError           5xx: already retried where that is safe
"""

from datetime import datetime

import msgspec

from hooktide.domain import errors
from hooktide.domain.errors import HooktideError
from hooktide.wire.problems import Fault, Problem


class ClientError(HooktideError):
    """The base class of the client's exceptions."""


class NaiveDatetimeError(ClientError, ValueError):
    """A datetime was given without a time zone, so that it names no instant. Nothing was sent."""

    def __init__(self, given: datetime) -> None:
        super().__init__(
            f"the datetime {given.isoformat()} has no time zone: give it one, as "
            "datetime.now(UTC) has"
        )


class UnreachableError(ClientError):
    """No response arrived.

    ``sent`` is False if the request certainly did not reach the server. ``idempotency_key`` is the
    one the event was published with: use it to publish the event again.
    """

    def __init__(self, detail: str, *, sent: bool, idempotency_key: str = "") -> None:
        super().__init__(detail)
        self.sent = sent
        self.idempotency_key = idempotency_key


class UnexpectedAnswerError(ClientError):
    """The answer is not from a Hooktide server of a compatible version."""

    def __init__(self, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


class ProblemError(ClientError):
    """The server refused. Its text has the detail and each invalid field.

    ``type`` is stable, and ``code`` its last part; ``instance`` identifies this occurrence in the
    server's log; ``retry_after`` is in seconds.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(_told(problem))
        self.problem = problem
        self.retry_after = retry_after

    @property
    def type(self) -> str:
        """What kind of problem it is, like ``/problems/unknown_event_type``."""
        return self.problem.type

    @property
    def code(self) -> str:
        """The last part of the type, like ``unknown_event_type``."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """A sentence about this occurrence."""
        return self.problem.detail

    @property
    def instance(self) -> str:
        """The id of this occurrence."""
        return self.problem.instance

    @property
    def errors(self) -> list[Fault]:
        """The invalid fields."""
        return self.problem.errors

    @property
    def limit(self) -> int | None:
        """The plan's limit, if it is reached."""
        return self.problem.limit


class InvalidError(ProblemError):
    """The request is invalid and must be changed."""

    @classmethod
    def before_sending(cls, title: str, error: errors.InvalidError) -> "InvalidError":
        """Return the exception for a request that was not sent, because of ``error``."""
        faults = [Fault(each.code, each.detail, each.pointer) for each in error.faults]
        return cls(
            Problem(f"/problems/{error.code}", title, error.status, error.detail, errors=faults)
        )


class UnauthorizedError(ProblemError):
    """The key is unknown or revoked."""


class ForbiddenError(ProblemError):
    """The key's scope does not allow this."""


class NotFoundError(ProblemError):
    """It does not exist, or the key has no access to it."""


class ConflictError(ProblemError):
    """The request conflicts with the current state."""


class LimitError(ProblemError):
    """A plan's limit is reached."""


class ServerError(ProblemError):
    """An internal error of the server."""


def problem_error(problem: Problem, retry_after: float | None = None) -> ProblemError:
    """Return the exception for a problem."""
    return _kind(problem)(problem, retry_after)


def _kind(problem: Problem) -> type[ProblemError]:
    if problem.type.endswith("/plan_limit_reached") or problem.status == 429:
        return LimitError
    if problem.status >= 500:
        return ServerError
    return _BY_STATUS.get(problem.status, InvalidError)


_BY_STATUS: dict[int, type[ProblemError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
}


def _told(problem: Problem) -> str:
    named = [fault for fault in problem.errors if fault.pointer]
    if [fault.detail for fault in named] == [problem.detail]:
        return f"{named[0].pointer}: {problem.detail}"
    places = [f"{each.pointer}: {each.detail}" for each in named if each.detail != problem.detail]
    return "\n".join([problem.detail, *places])


def read_problem(body: bytes, status: int) -> Problem | None:
    """Return the problem in a response, or None if it has none."""
    try:
        found = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return msgspec.structs.replace(found, status=status) if found.type else None
