"""For receivers: verifies a request's signature, and explains exactly what is wrong.

    from hooktide.verify import VerificationError, Verifier

    verifier = Verifier("invoice-ahoy", secret)
    verifier.verify(body, headers)       # raises VerificationError, whose text is the reason

It uses the code that Hooktide signs with (``domain.dialect.signing``) and the same configuration.
Importing it imports no server.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from typing import TypeAlias

from hooktide.dialects import load
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.signing import Check, Verification, read_secret
from hooktide.domain.dialect.signing import verify as check_signatures
from hooktide.domain.errors import HooktideError
from hooktide.domain.model import SECOND, Micros
from hooktide.domain.project.project import Project

__all__ = ["STANDARD_WEBHOOKS", "Check", "Dialect", "Verification", "VerificationError", "Verifier"]

STANDARD_WEBHOOKS = "standard-webhooks"
"""The dialect with the Standard Webhooks headers and no others."""

Text: TypeAlias = str | bytes
Headers: TypeAlias = Mapping[str, str] | Message | Iterable[tuple[Text, Text]]
_MICROSECOND = timedelta(microseconds=1)


class VerificationError(HooktideError):
    """The request is not verified. Its text says why; ``checks`` has each signature's own reason.

    The text is for debugging: answer the sender with a plain 401.
    """

    def __init__(self, reason: str, checks: tuple[Check, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.checks = checks


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified request. ``event_id`` is empty if its headers contain none.

    Every attempt of an event has the same ``event_id``: check it before processing an event twice.
    """

    event_id: str
    signed_with: tuple[str, ...]


class Verifier:
    """Verifies the requests of one sender, in constant time.

    ``dialect`` is the name of a shipped project (``hooktide providers``), the path of a project's
    file, a ``Project`` or a ``Dialect``; ``secret`` what was shown with the endpoint, in either of
    its forms, or several of them while one is rotated. ``tolerance`` is how far a timestamp may be
    from now; None: any age is accepted, as for a stored request.

    :raises ConfigError: the project does not exist, or its file is wrong.
    :raises InvalidError: the secret is malformed.
    """

    def __init__(
        self,
        dialect: str | Project | Dialect,
        secret: str | Sequence[str],
        *,
        tolerance: timedelta | None = timedelta(minutes=5),
        clock: Callable[[], float] = time.time,
    ) -> None:
        given = [secret] if isinstance(secret, str) else list(secret)
        self.dialect = _dialect_of(dialect)
        self._secrets = tuple(read_secret(each) for each in given)
        self._tolerance: Micros | None = None if tolerance is None else tolerance // _MICROSECOND
        self._clock = clock

    def verify(self, body: bytes, headers: Headers) -> Verified:
        """Verify a request, and return what is known of it.

        ``body`` is the raw bytes as received, before any parsing. ``headers`` may be any
        mapping or list of pairs, in any case: a framework's own, ``http.server``'s, or ASGI's raw
        ones.

        :raises VerificationError: it is not authentic.
        """
        pairs = _pairs(headers)
        found = self._check(body, pairs)
        if not found.valid:
            raise VerificationError(found.reason, found.checks)
        names = {name.lower(): value for name, value in pairs}
        return Verified(
            names.get(self.dialect.standard_names.id, ""),
            tuple(check.header for check in found.checks if check.valid),
        )

    def check(self, body: bytes, headers: Headers) -> Verification:
        """Return the result of each signature, without raising."""
        return self._check(body, _pairs(headers))

    def _check(self, body: bytes, pairs: list[tuple[str, str]]) -> Verification:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise TypeError("give the body as the raw bytes received, not as text or parsed JSON")
        now = int(self._clock() * SECOND)
        return check_signatures(
            self.dialect, self._secrets, pairs, bytes(body), now, self._tolerance
        )


def _dialect_of(given: str | Project | Dialect) -> Dialect:
    if isinstance(given, Dialect):
        return given
    return (given if isinstance(given, Project) else load(given)).dialect


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    given = headers.items() if isinstance(headers, Mapping | Message) else headers
    return [(_text(name), _text(value)) for name, value in given]


def _text(given: Text) -> str:
    """Return a header's text, even if a framework could not decode it."""
    if isinstance(given, bytes):
        return given.decode("latin-1")
    return given.encode("utf-8", "replace").decode()
