"""An event as a person reads it: a title, the most informative fields, a link.

It is generated from the event's type and payload, or follows the project's wording if its file has
a ``message`` for the type. It is plain text here; each chat service escapes it in its own way.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from hooktide.domain.dialect.template import Part, Slot, parts
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Event, Micros
from hooktide.domain.time.times import show_time

MAX_FIELDS = 6
MAX_OWN_FIELDS = 10
MAX_SCALARS = 200
"""Maximum values of a payload that are considered as fields."""
MAX_TELLING_LENGTH = 120
"""A longer value is not shown as a field."""
MAX_VALUE_LENGTH = 200
MAX_TEXT_LENGTH = 1500
MAX_LINK_LENGTH = 1000
MAX_LINE_LENGTH = 95
MISSING = "—"
"""Replaces a slot for which the payload has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The project's own message for an event type; empty parts are generated.

    Parameters
    ----------
    text
        A sentence with slots like ``{payload.customer.name}``, ``{event.type}`` or ``{event.id}``.
    link
        A URL with such slots.
    fields
        The members of the payload to show, as paths like ``customer.name``.
    """

    text: str = ""
    link: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event as a person reads it: plain text, free of line breaks and control characters.

    ``own``: the title is the project's own sentence. ``link`` is an http(s) URL, or empty.
    """

    title: str
    own: bool
    fields: tuple[tuple[str, str], ...]
    link: str
    event_type: str
    at: Micros
    test: bool

    @property
    def line(self) -> str:
        """Return the message in a line."""
        values = [value for _, value in self.fields[:3]] if not self.own else []
        return clip(" · ".join((self.title, *values)), MAX_LINE_LENGTH)

    @property
    def about(self) -> str:
        """Name the event."""
        return f"{self.event_type} · {show_time(self.at)[:16].replace('T', ' ')} UTC"


def compose_message(event: Event, wording: Wording) -> Message:
    """Sum up an event."""
    payload = _read(event.payload)
    writer = _writer(wording)
    own = writer.title(event, payload)
    fields = writer.fields(payload) if wording.fields or own else tuple(_telling(payload))
    title = own or title_of(event.type)
    return Message(
        title=f"Test: {title}" if event.test else title,
        own=bool(own),
        fields=fields,
        link=writer.link(event, payload) if wording.link else _link_in(payload),
        event_type=event.type,
        at=event.occurred_at,
        test=event.test,
    )


def summary(messages: Sequence[Message]) -> str:
    """Return how many events a message covers."""
    return f"{len(messages)} events"


def _read(payload: bytes) -> Any:
    """Read a payload; its numbers stay as they are written."""
    return json.loads(payload, parse_float=str, parse_int=str)


class _Writer:
    """A wording, compiled.

    :raises ConfigError: a template is invalid; the key says which.
    """

    def __init__(self, wording: Wording) -> None:
        self._text = _parts(wording.text, "text")
        self._link = _parts(wording.link, "link")
        self._fields = wording.fields
        if len(wording.fields) > MAX_OWN_FIELDS:
            raise ConfigError(f"{MAX_OWN_FIELDS} fields at most", key="fields")

    def title(self, event: Event, payload: Any) -> str:
        return clip(clean("".join(_fill(self._text, event, payload))), MAX_TEXT_LENGTH)

    def link(self, event: Event, payload: Any) -> str:
        filled = [
            each if isinstance(each, str) else quote(_value(each, event, payload), safe="")
            for each in self._link
        ]
        return as_link("".join(filled))

    def fields(self, payload: Any) -> tuple[tuple[str, str], ...]:
        found = ((path, shown(_at(payload, path))) for path in self._fields)
        return tuple((label_of(path), value or MISSING) for path, value in found)


@lru_cache(maxsize=1024)
def _writer(wording: Wording) -> _Writer:
    return _Writer(wording)


def _parts(text: str, key: str) -> tuple[Part, ...]:
    found = parts(text, key)
    for each in found:
        if isinstance(each, Slot) and (each.filter or not _SLOT.fullmatch(each.name)):
            raise ConfigError(
                f"there is no {{{each.name}}}; use {{payload.some.member}}, {{event.type}} or "
                "{event.id}",
                key=key,
            )
    return found


_SLOT = re.compile(r"event\.(?:type|id)|payload(?:\.[^.{}|]+)+")


def _fill(template: tuple[Part, ...], event: Event, payload: Any) -> Iterator[str]:
    for each in template:
        yield each if isinstance(each, str) else _value(each, event, payload) or MISSING


def _value(slot: Slot, event: Event, payload: Any) -> str:
    if slot.name == "event.type":
        return event.type
    if slot.name == "event.id":
        return f"evt_{event.id:016x}"
    return shown(_at(payload, slot.name.removeprefix("payload.")))


def check_wording(wording: Wording, example: str) -> None:
    """Check a wording against its event type's example (JSON text).

    :raises ConfigError: a template is invalid, or uses a member that the example lacks.
    """
    writer = _writer(wording)
    payload = _read(example.encode())
    if payload == {}:
        return
    slots = {
        key: [each.name for each in template if isinstance(each, Slot)]
        for key, template in (("text", writer._text), ("link", writer._link))
    }
    asked = [(key, name) for key, names in slots.items() for name in names]
    asked += [("fields", f"payload.{path}") for path in wording.fields]
    for key, name in asked:
        path = name.removeprefix("payload.")
        if name.startswith("payload.") and _at(payload, path) is None:
            raise ConfigError(f"the example has no {path}", key=key)


def _at(payload: Any, path: str) -> Any:
    """Return the value at a path of members and indexes in a payload, or ``None``."""
    found = payload
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdigit() and len(step) < 6:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


_TELLING = (
    "number",
    "name",
    "title",
    "subject",
    "reference",
    "status",
    "state",
    "amount",
    "total",
    "currency",
    "customer",
    "company",
    "email",
    "reason",
    "error",
    "message",
    "date",
    "due",
    "at",
)


def _telling(payload: Any) -> list[tuple[str, str]]:
    """Return the most informative fields, as labels and values."""
    ranked: list[tuple[int, int, str, str]] = []
    for order, (path, value) in enumerate(_first_scalars(payload)):
        text = shown(value)
        if not text or len(text) > MAX_TELLING_LENGTH or _URL.fullmatch(text):
            continue
        ranked.append((_rank(path), order, label_of(path), text))
    ranked.sort()
    return [(label, text) for _, _, label, text in ranked[:MAX_FIELDS]]


def _first_scalars(payload: Any) -> Iterator[tuple[str, Any]]:
    return itertools.islice(_scalars(payload), MAX_SCALARS)


def _scalars(payload: Any) -> Iterator[tuple[str, Any]]:
    """Yield the scalars of an object, and of the objects in it, with their paths."""
    if not isinstance(payload, dict):
        if not isinstance(payload, list):
            yield "value", payload
        return
    for name, value in payload.items():
        if isinstance(value, dict):
            for inner, scalar in value.items():
                if not isinstance(scalar, dict | list):
                    yield f"{name}.{inner}", scalar
        elif not isinstance(value, list):
            yield name, value


def _rank(path: str) -> int:
    words = [word for word in _words(path.rpartition(".")[2]) if word]
    last = words[-1] if words else ""
    if last in _TELLING:
        found = _TELLING.index(last)
    elif last in {"id", "uuid", "key", "token", "hash"}:
        found = 200
    else:
        found = 100
    return found + (50 if "." in path else 0)


def _link_in(payload: Any) -> str:
    """Return the payload's link to the object that the event is about; empty if there is none."""
    found: list[tuple[int, str]] = []
    for path, value in _first_scalars(payload):
        words = _words(path.rpartition(".")[2])
        if not words or words[-1] not in _LINKS or any(word in _NO_LINKS for word in words):
            continue
        if isinstance(value, str) and (link := as_link(value)):
            found.append((len(words) + (10 if "." in path else 0), link))
    return min(found)[1] if found else ""


_LINKS = {"url", "link", "href", "permalink", "uri"}
_NO_LINKS = {"api", "avatar", "callback", "icon", "image", "logo", "picture", "self", "webhook"}


def as_link(text: str) -> str:
    """Return a text if it is a link that may be shown as one; empty: it is not."""
    return text if len(text) <= MAX_LINK_LENGTH and _URL.fullmatch(text) else ""


_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]_a-z~]*)?"
)


def title_of(event_type: str) -> str:
    """Write an event type as people would: ``invoice.paid`` is “Invoice paid”."""
    return _sentence(_words(event_type))


def label_of(path: str) -> str:
    """Write a member's name, or the path to one, as people would."""
    return clip(clean(_sentence(_words(path))), 60) or MISSING


def _sentence(words: list[str]) -> str:
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _words(name: str) -> list[str]:
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[\s._-]+", split) if word]


def shown(value: Any) -> str:
    """Write a scalar as people would; empty for other values."""
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clip(clean(str(value)), MAX_VALUE_LENGTH)


def clean(text: str) -> str:
    """Remove line breaks, control characters and bidirectional overrides."""
    return " ".join(_UNSEEN.sub(" ", text).split())


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def length(text: str) -> int:
    """Count as the services do: in UTF-16 code units, of which most emoji take two."""
    return len(text) + sum(char > "\uffff" for char in text)


def clip(text: str, limit: int) -> str:
    """Truncate a text to ``limit`` units (see ``length``)."""
    return escaped(text, limit, {})


def escaped(text: str, limit: int, escapes: Mapping[str, str]) -> str:
    """Escape a text character by character, and truncate it without splitting an escape."""
    whole = "".join(escapes.get(char, char) for char in text)
    if length(whole) <= limit:
        return whole
    kept: list[str] = []
    room = limit - 1
    for char in text:
        piece = escapes.get(char, char)
        room -= length(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept).rstrip() + "…"
