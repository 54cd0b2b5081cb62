"""What a client raises: one tree, and each error says what was asked and what to do.

ClientError
├── UnreachableError          no answer came; `sent` says whether the request may have been done
├── NaiveDatetimeError       a datetime without a time zone was given; a ValueError too
├── UnexpectedAnswerError     what answered is no Hooktide server, or not one of this version
└── ProblemError              the server refused: type, code, detail, instance, errors, status
    ├── InvalidError          400, 413, 415, 422, 431: change the request; `errors` says where
    ├── UnauthorizedError     401: the key is unknown or revoked
    ├── ForbiddenError        403: the key's scope never opens this
    ├── NotFoundError         404: no such thing, or not yours
    ├── ConflictError         409: not as things stand
    ├── LimitError            a plan's limit (403 or 429): `limit`, `retry_after`
    └── ServerError           5xx: it was repeated already where that is safe
"""

from datetime import datetime

import msgspec

from hooktide.domain.errors import HooktideError
from hooktide.wire.problems import Fault, Problem


class ClientError(HooktideError):
    """The root of what a client raises."""


class NaiveDatetimeError(ClientError, ValueError):
    """A datetime was given without a time zone, so that it names no instant. Nothing was sent."""

    def __init__(self, given: datetime) -> None:
        super().__init__(
            f"the datetime {given.isoformat()} has no time zone: give it one, as "
            "datetime.now(UTC) has"
        )


class UnreachableError(ClientError):
    """No answer came.

    ``sent`` is False where the request surely did not reach the server. ``idempotency_key`` is
    what an event was published with: publish it again with that one.
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
    """The server refused. Its text is the detail, and each place that is wrong.

    ``type`` is stable, and ``code`` its last part; ``instance`` names this one occurrence, for
    which the server's log has more; ``retry_after`` is in seconds.
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
        return self.problem.type.rpartition("/")[2]

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
        """The name of this occurrence."""
        return self.problem.instance

    @property
    def errors(self) -> list[Fault]:
        """Each place that is wrong."""
        return self.problem.errors

    @property
    def limit(self) -> int | None:
        """How much a plan allows, where that is reached."""
        return self.problem.limit


class InvalidError(ProblemError):
    """The request is invalid and must be changed."""


class UnauthorizedError(ProblemError):
    """The key is unknown or revoked."""


class ForbiddenError(ProblemError):
    """The key's scope never opens this."""


class NotFoundError(ProblemError):
    """It does not exist, or the key has no access to it."""


class ConflictError(ProblemError):
    """It cannot be done as things stand."""


class LimitError(ProblemError):
    """A plan's limit is reached."""


class ServerError(ProblemError):
    """The server's own trouble."""


def problem_error(problem: Problem, retry_after: float | None = None) -> ProblemError:
    """Return the error that a problem is."""
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
