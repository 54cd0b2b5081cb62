"""The envelope around a payload: a JSON template, compiled once to literal bytes and slots.

The payload's bytes are spliced in unchanged; nothing re-serializes them.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from hooktide.domain.dialect.dialect import BARE_PAYLOAD
from hooktide.domain.dialect.template import Slot, parts
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.json.payload import MAX_BYTES
from hooktide.domain.json.pointer import escaped
from hooktide.domain.model import SECOND, Event, Micros

Getter: TypeAlias = Callable[[Event], int | bytes]
Filler: TypeAlias = tuple[bytes, Getter]
"""How a slot is filled for an event: its conversion (``%b``), and where the value comes from."""

Piece: TypeAlias = bytes | Slot

MAX_CACHED_FORMS = 10_000
MAX_PAYLOADS = 2
"""Maximum occurrences of ``{payload}`` in an envelope: each adds up to 256 KB to a body."""
MAX_MEMBERS = 50
"""Maximum occurrences of ``{payload.member}`` in an envelope."""
MAX_MEMBERS_SIZE = 2 * MAX_BYTES
"""Maximum bytes that they may copy from a payload in total: a member may occur more than once."""
KEY = "dialect.envelope"


class Envelope:
    """A compiled envelope. ``text`` is as in ``Dialect.envelope``.

    ``needs_transition`` and ``members`` say what an event must have: a transition, and members of
    its payload. ``names_type``: the body contains the event's type.

    :raises ConfigError: the template contains an unknown slot.
    """

    def __init__(self, text: str) -> None:
        self._pieces = tuple(_compile(text))
        slots = [piece for piece in self._pieces if isinstance(piece, Slot)]
        self.needs_transition = any(slot.name == "event.transition" for slot in slots)
        self.members = tuple(_member(slot) for slot in slots if slot.name.startswith("payload."))
        self.names_type = any(slot.name == "event.type" for slot in slots)
        self._payloads = sum(slot.name == "payload" for slot in slots)
        self._bare = self._pieces == (Slot("payload"),)
        self._form = lru_cache(MAX_CACHED_FORMS)(self._make_form)
        self._last: tuple[Event | None, bytes] = (None, b"")

    def body(self, event: Event) -> bytes:
        """Return the body for an event: the same on every attempt.

        It is written once for a fan-out, whose deliveries share the event and follow one another.
        """
        if self._bare:
            return event.payload
        last, body = self._last
        if last is not event:
            template, getters = self._form(event.type)
            body = template % tuple([get(event) for get in getters])
            self._last = (event, body)
        return body

    def check(self, transition: str, payload: bytes) -> None:
        """Check that an event has everything that the envelope uses.

        :raises InvalidError: the transition or a member of the payload is missing, or the members
        are too large in total.
        """
        if self.needs_transition and not transition:
            raise InvalidError(
                "transition_missing",
                "events of this project require a transition, like SUBMIT",
                pointer="/transition",
            )
        if self.members:
            size = _size_of_members(self.members, payload)
            # More members than a file may have: the project was stored before there were limits.
            if size > MAX_MEMBERS_SIZE and len(self.members) <= MAX_MEMBERS:
                raise _too_large(size)

    def check_limits(self) -> None:
        """Check the limits on slots when a project file is applied.

        A project that was stored before there were limits stays valid.

        :raises ConfigError: more often than ``MAX_PAYLOADS`` or ``MAX_MEMBERS``.
        """
        _check_count("payload", self._payloads, MAX_PAYLOADS)
        _check_count("payload.member", len(self.members), MAX_MEMBERS)

    def _make_form(self, event_type: str) -> tuple[bytes, tuple[Getter, ...]]:
        """Fill the slots that the type alone decides; the event fills the others."""
        template = bytearray()
        getters: list[Getter] = []
        for piece in self._pieces:
            if isinstance(piece, Slot) and piece.name in _OF_TYPE:
                piece = _escape(_FILTERS[piece.filter](_OF_TYPE[piece.name](event_type)))
            if isinstance(piece, bytes):
                template += piece.replace(b"%", b"%%")
            else:
                conversion, getter = _filler(piece)
                template += conversion
                getters.append(getter)
        return bytes(template), tuple(getters)


def _size_of_members(members: tuple[str, ...], payload: bytes) -> int:
    """Return how many bytes the envelope copies from a payload.

    :raises InvalidError: a member is missing.
    """
    try:
        found = _read_members(payload)
    except msgspec.DecodeError:
        raise InvalidError(
            "payload_not_an_object",
            f"the payload must be an object with the member {members[0]!r}",
            pointer="/payload",
        ) from None
    size = 0
    for name in members:
        member = _member_of(found, name)
        if member is None:
            step = escaped(name)
            if name.partition(".")[0] in found:
                step = step.replace(".", "/")
            raise InvalidError(
                "payload_member_missing",
                f"this project's envelope takes {name!r} from the payload, which has none",
                pointer=f"/payload/{step}",
            )
        size += len(bytes(member))
    return size


def _too_large(size: int) -> InvalidError:
    return InvalidError(
        "payload_too_large",
        f"this project's envelope takes {size:,} bytes from the payload, some more than once; "
        f"{MAX_MEMBERS_SIZE:,} at most: send a smaller payload",
        pointer="/payload",
        status=413,
    )


def _check_count(name: str, count: int, most: int) -> None:
    if count > most:
        raise ConfigError(
            f"{{{name}}} stands {count:,} times in the envelope; {most} at most, since "
            "each adds to the size of every body",
            key=KEY,
        )


def _member_of(found: dict[str, msgspec.Raw], name: str) -> msgspec.Raw | None:
    """Return a member, or the value at a path like ``customer.name``; ``None`` if there is none."""
    while name not in found:
        outer, dot, name = name.partition(".")
        if not dot or outer not in found:
            return None
        try:
            found = _read_members(found[outer])
        except msgspec.DecodeError:
            return None
    return found[name]


@lru_cache(maxsize=1)
def _last_members(payload: bytes) -> dict[str, msgspec.Raw]:
    """Read a payload once for all the slots of a body."""
    return _read_members(payload)


_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _compile(text: str) -> Iterator[Piece]:
    template = "{payload}" if text == BARE_PAYLOAD else json.loads(text)
    literal: list[bytes] = []
    for piece in _value(template, KEY):
        if isinstance(piece, bytes):
            literal.append(piece)
        else:
            if literal:
                yield b"".join(literal)
            yield piece
            literal.clear()
    if literal:
        yield b"".join(literal)


def _value(value: Any, key: str) -> Iterator[Piece]:
    match value:
        case dict():
            yield from _object(value, key)
        case list():
            yield b"["
            for index, item in enumerate(value):
                yield b"," if index else b""
                yield from _value(item, f"{key}[{index}]")
            yield b"]"
        case str():
            yield from _string(value, key, whole=True)
        case _:
            yield json.dumps(value).encode()


def _object(members: dict[str, Any], key: str) -> Iterator[Piece]:
    yield b"{"
    for index, (name, value) in enumerate(members.items()):
        yield b"," if index else b""
        yield from _string(name, f"{key}.{name}", whole=False)
        yield b":"
        yield from _value(value, f"{key}.{name}")
    yield b"}"


def _string(text: str, key: str, *, whole: bool) -> Iterator[Piece]:
    found = parts(text, key)
    for part in found:
        if isinstance(part, Slot):
            _check_slot(part, key, alone=whole and len(found) == 1)
    if whole and len(found) == 1 and isinstance(found[0], Slot) and _writes_json(found[0]):
        yield found[0]
        return
    yield b'"'
    for part in found:
        yield part if isinstance(part, Slot) else _escape(part)
    yield b'"'


def _check_slot(slot: Slot, key: str, *, alone: bool) -> None:
    if slot.name == "payload" or _member(slot):
        if not alone:
            raise ConfigError(
                f"{{{slot.name}}} must be a whole value, not part of a string", key=key
            )
        allowed: tuple[str, ...] = ("",)
    elif slot.name in _SLOTS:
        allowed = _SLOTS[slot.name]
    else:
        known = ", ".join(f"{{{name}}}" for name in (*_SLOTS, "payload", "payload.member"))
        raise ConfigError(f"unknown slot {{{slot.name}}}; use {known}", key=key)
    if slot.filter not in allowed:
        known = ", ".join(name for name in allowed if name) or "none"
        raise ConfigError(f"{{{slot.name}}} has no filter {slot.filter!r}; it has {known}", key=key)


def _writes_json(slot: Slot) -> bool:
    return slot.name.startswith("payload") or slot.filter in {"unix", "unix_ms"}


def _member(slot: Slot) -> str:
    return slot.name.removeprefix("payload.") if slot.name.startswith("payload.") else ""


def _escape(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]


def _entity(event_type: str) -> str:
    return event_type.partition(".")[0]


def _status(event_type: str) -> str:
    return event_type.partition(".")[2]


_OF_TYPE: dict[str, Callable[[str], str]] = {
    "event.type": str,
    "event.entity": _entity,
    "event.status": _status,
}
_FILTERS: dict[str, Callable[[str], str]] = {"": str, "lower": str.lower, "upper": str.upper}
_SLOTS = {
    "event.id": ("",),
    "event.type": tuple(_FILTERS),
    "event.entity": tuple(_FILTERS),
    "event.status": tuple(_FILTERS),
    "event.transition": tuple(_FILTERS),
    "event.occurred_at": ("", "z", "unix", "unix_ms"),
}


def _filler(slot: Slot) -> Filler:
    """Return how a slot is filled for an event."""
    match slot.name:
        case "event.id":
            return b"evt_%016x", attrgetter("id")
        case "event.transition":
            change = _FILTERS[slot.filter]
            return b"%b", lambda event: _escape(change(event.transition))
        case "event.occurred_at":
            show, conversion = _TIMES[slot.filter]
            return conversion, lambda event: show(event.occurred_at)
        case "payload":
            return b"%b", attrgetter("payload")
        case _:
            name = _member(slot)
            return b"%b", lambda event: _bytes_of(event.payload, name)


def _bytes_of(payload: bytes, name: str) -> bytes:
    """Return a member's bytes; null if it is missing: the event is older than the envelope."""
    found = _member_of(_last_members(payload), name)
    return b"null" if found is None else bytes(found)


def _with_offset(at: Micros) -> bytes:
    return b"%b.%06d+00:00" % (_second(at // SECOND), at % SECOND)


def _with_z(at: Micros) -> bytes:
    return b"%b.%06dZ" % (_second(at // SECOND), at % SECOND)


def _unix(at: Micros) -> int:
    return at // SECOND


def _unix_ms(at: Micros) -> int:
    return at // 1000


_TIMES: dict[str, tuple[Callable[[Micros], int | bytes], bytes]] = {
    "": (_with_offset, b"%b"),
    "z": (_with_z, b"%b"),
    "unix": (_unix, b"%d"),
    "unix_ms": (_unix_ms, b"%d"),
}


@lru_cache(maxsize=1024)
def _second(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
