"""From an event to the bytes of a request: the body, and the head that signs it."""

from functools import lru_cache

from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.envelope import Envelope
from hooktide.domain.dialect.signing import Signer, standard_form, standard_lines
from hooktide.domain.model import SECOND, Event, Micros, Secret

TYPE_HEADER = b"hooktide-event-type"
"""Carries the event type if the body does not: Standard Webhooks has no header for it."""


class Composer:
    """A dialect, compiled.

    :raises ConfigError: a template of the dialect is invalid; the key says which.
    """

    def __init__(self, dialect: Dialect) -> None:
        fixed = "".join(f"{name}: {value}\r\n" for name, value in dialect.headers)
        self._fixed = fixed.encode("ascii")
        self._standard = standard_form(dialect) if dialect.standard_headers else b""
        self._signer = (
            Signer(dialect.signature, standard_headers=dialect.standard_headers)
            if dialect.signature
            else None
        )
        self.envelope = Envelope(dialect.envelope)
        self._names_type = self.envelope.names_type
        self.body = self.envelope.body
        """Return an event's body: the same on every attempt, for every endpoint."""

    def compose(
        self,
        event: Event,
        target_prefix: bytes,
        secrets: tuple[Secret, ...],
        body: bytes,
        now: Micros,
        extra: bytes = b"",
    ) -> bytes:
        """Return the whole request head of one attempt, blank line included.

        ``target_prefix`` begins it and ``extra`` (the endpoint's own header lines) ends it; both
        end in a line break. ``secrets`` are the active ones, newest first, at least one.
        """
        event_id = b"evt_%016x" % event.id
        timestamp = now // SECOND
        own = self._signer.lines(secrets[0], event_id, timestamp, body) if self._signer else b""
        form = self._standard
        standard = standard_lines(form, secrets, event_id, timestamp, body) if form else b""
        type_line = b"" if self._names_type else b"%b: %b\r\n" % (TYPE_HEADER, event.type.encode())
        return b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b%b%b%b%b\r\n" % (
            target_prefix,
            len(body),
            self._fixed,
            own,
            standard,
            type_line,
            extra,
        )


def unsigned(target_prefix: bytes, body: bytes, extra: bytes) -> bytes:
    """Return the head of a chat's request, which carries no signature and no event id."""
    return b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n" % (
        target_prefix,
        len(body),
        extra,
    )


@lru_cache(maxsize=256)
def compile_dialect(dialect: Dialect) -> Composer:
    """Return the dialect's composer, compiled once.

    :raises ConfigError: a template of the dialect is invalid; the key says which.
    """
    return Composer(dialect)


def check_event(dialect: Dialect, transition: str, payload: bytes) -> None:
    """Check that an event has everything that the dialect's envelope uses.

    :raises InvalidError: the transition, or a member of the payload, is missing.
    """
    compile_dialect(dialect).envelope.check(transition, payload)
