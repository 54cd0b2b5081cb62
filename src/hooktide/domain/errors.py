"""Every error that Hooktide raises, and what the caller can do about it.

HooktideError
├── InvalidError       the request is wrong: where (pointer) and why (code)
├── RefusedError       the request is valid but not allowed now: a stable code
│   ├── LimitError     a plan's limit is reached: the limit
│   └── BusyError      too many at once: when to retry
├── NotFoundError      not found, or outside the caller's scope: indistinguishable
├── ConfigError        a project file or setting is wrong: line, key and reason
└── UnavailableError   an internal problem (database, overload); the caller should retry

A failed delivery is not here: it is a value (``domain.delivery.verdict``), not an error.
"""

from dataclasses import dataclass
from typing import Self


class HooktideError(Exception):
    """The root: every error Hooktide raises on purpose."""

    def as_value(self) -> Self:
        """Return this error without its traceback, to be stored as one of a batch's results.

        A traceback references its frames and all their variables, so a stored error would keep a
        whole batch's payloads alive until the next garbage collection.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (RFC 6901 pointer), a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str


class InvalidError(HooktideError):
    """The request is malformed or breaks a rule; the caller must change it."""

    def __init__(self, code: str, detail: str, *, pointer: str = "", status: int = 422) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.faults: tuple[Fault, ...] = (Fault(pointer, code, detail),)


class RefusedError(HooktideError):
    """The request is valid, but not allowed in the current state."""

    def __init__(self, code: str, detail: str, *, status: int = 409) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


class LimitError(RefusedError):
    """A plan's limit is reached."""

    def __init__(
        self, detail: str, *, limit: int, status: int = 403, retry_after: int | None = None
    ) -> None:
        super().__init__("plan_limit_reached", detail, status=status)
        self.limit = limit
        self.retry_after = retry_after


class BusyError(RefusedError):
    """Too many such requests are in progress; retry after ``retry_after`` seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int) -> None:
        super().__init__(code, detail, status=429)
        self.retry_after = retry_after


class NotFoundError(HooktideError):
    """The object does not exist, or is outside the caller's scope: both look the same."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no such {what}")
        self.what = what


class ConfigError(HooktideError):
    """A project file or a setting is wrong. Shows as ``file:line: key: reason``.

    ``others`` are further errors in the file, each shown on its own line.
    """

    def __init__(
        self,
        reason: str,
        *,
        key: str = "",
        line: int | None = None,
        file: str = "",
        others: "tuple[ConfigError, ...]" = (),
    ) -> None:
        self.reason, self.key, self.line, self.file, self.others = reason, key, line, file, others
        where = f"{file}:{line}: " if line is not None else (f"{file}: " if file else "")
        own = f"{where}{key}: {reason}" if key else f"{where}{reason}"
        super().__init__("\n".join([own, *map(str, others)]))


class UnavailableError(HooktideError):
    """An internal problem: the same request may be repeated in ``retry_after`` seconds.

    ``detail`` is for the client; ``reason`` is for the operator, and may name hosts.
    """

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 1, reason: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.reason = reason or detail

    def again(self) -> Self:
        """Return a copy of this error: each waiting caller raises its own."""
        return type(self)(self.detail, retry_after=self.retry_after, reason=self.reason)


class WriteFaultError(UnavailableError):
    """The data itself cannot be written: the same write would fail every time."""


class StorageFullError(UnavailableError):
    """The database may not grow any further; stored events are still delivered (507)."""

    code = "storage_full"


class UnsealError(UnavailableError):
    """A stored secret cannot be decrypted, or is missing. No attempt is used up.

    The operator must restore the key or the row; then the same request can be repeated.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=60)

    def again(self) -> Self:
        """Return a new error with the same content."""
        return type(self)(self.detail)


def is_lasting(error: Exception) -> bool:
    """Whether an error belongs to one piece of work, which would fail again.

    Otherwise the cause is the database or the configuration, which stops all work alike.
    """
    if isinstance(error, UnavailableError):
        return isinstance(error, WriteFaultError)
    return not isinstance(error, ConfigError)
