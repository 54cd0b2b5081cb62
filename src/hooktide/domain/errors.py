"""Everything that can be refused, and what the caller can do about it.

HooktideError
├── InvalidError            the request is wrong; carries where (pointer) and why (code)
├── RefusedError            the request is understood and not allowed now; carries a stable code
│   ├── LimitError          a plan's limit is reached; carries the limit
│   └── BusyError           too much of it is under way; carries when to ask again
├── NotFoundError           no such thing, or not yours: the two are told apart nowhere
├── ConfigError             a project file or setting is wrong; carries line, key and reason
└── UnavailableError        our own trouble (database, overload); the caller should try again

A failed delivery is not here: it is a value (``domain.verdict``), not an error.
"""

from dataclasses import dataclass


class HooktideError(Exception):
    """The root: every error Hooktide raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (RFC 6901 pointer), a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str


class InvalidError(HooktideError):
    """The request cannot be understood or breaks a rule; the caller has to change it."""

    def __init__(self, code: str, detail: str, *, pointer: str = "", status: int = 422) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.faults: tuple[Fault, ...] = (Fault(pointer, code, detail),)


class RefusedError(HooktideError):
    """The request is understood, and not allowed as things stand."""

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
    """Too much of this is under way; ask again after ``retry_after`` seconds."""

    def __init__(self, code: str, detail: str, *, retry_after: int) -> None:
        super().__init__(code, detail, status=429)
        self.retry_after = retry_after


class NotFoundError(HooktideError):
    """There is no such thing, or it is not the caller's: both look the same from outside."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no such {what}")
        self.what = what


class ConfigError(HooktideError):
    """A project file or a setting is wrong. Shows as ``file:line: key: reason``."""

    def __init__(
        self, reason: str, *, key: str = "", line: int | None = None, file: str = ""
    ) -> None:
        self.reason, self.key, self.line, self.file = reason, key, line, file
        where = f"{file}:{line}: " if line is not None else (f"{file}: " if file else "")
        super().__init__(f"{where}{key}: {reason}" if key else f"{where}{reason}")


class UnavailableError(HooktideError):
    """Our own trouble: the same request may be made again in ``retry_after`` seconds."""

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
