"""The envelope around a payload, described for people (a table) and machines (a JSON Schema).

Both walk the envelope's template as ``domain.dialect.envelope`` compiles it: a tree of JSON whose
strings and keys may hold slots.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hooktide.domain.dialect.dialect import BARE_PAYLOAD, Dialect
from hooktide.domain.dialect.template import Part, Slot, parts
from hooktide.domain.json.pointer import escaped
from hooktide.domain.project.project import EventType


@dataclass(frozen=True, slots=True)
class Member:
    """A value within the body: where it is (``data.invoice``), and what it is made of.

    Without parts it is always the ``literal``.
    """

    path: str
    parts: tuple[Part, ...]
    literal: Any = None

    @property
    def pieces(self) -> list[str]:
        """What it is made of, as the envelope writes it."""
        return [_written(part) for part in self.parts]

    @property
    def slot(self) -> Slot | None:
        """The slot that this member is, where it is nothing else."""
        [first, *others] = self.parts or ("",)
        return first if isinstance(first, Slot) and not others else None


def is_bare(dialect: Dialect) -> bool:
    """Return whether the body is the payload alone."""
    return dialect.envelope == BARE_PAYLOAD


def members(dialect: Dialect, kind: EventType) -> tuple[Member, ...]:
    """Return the values of the body in their order, under keys as ``kind`` has them."""
    return () if is_bare(dialect) else tuple(_members(json.loads(dialect.envelope), "", kind))


def find(found: tuple[Member, ...], slot: str) -> str:
    """Return where a slot's value is; empty if it has no place of its own."""
    return next((each.path for each in found if each.slot and each.slot.name == slot), "")


def _members(value: Any, path: str, kind: EventType) -> Iterator[Member]:
    match value:
        case dict() if value:
            for key, inner in value.items():
                name = _key(key, kind)
                yield from _members(inner, f"{path}.{name}" if path else name, kind)
        case list() if value:
            for index, inner in enumerate(value):
                yield from _members(inner, f"{path}[{index}]", kind)
        case str() if any(isinstance(part, Slot) for part in parts(value, "")):
            yield Member(path, parts(value, ""))
        case str():
            yield Member(path, (), "".join(map(_written, parts(value, ""))))
        case _:
            yield Member(path, (), value)


def _key(key: str, kind: EventType) -> str:
    """Write a key as it is for an event type; what only an event decides stays a slot."""
    return "".join(_of_type(part, kind) or _written(part) for part in parts(key, ""))


def _written(part: Part) -> str:
    return f"{{{part.name}}}" if isinstance(part, Slot) else part


def _of_type(part: Part, kind: EventType) -> str | None:
    """Fill a slot that the type decides (and its example's transition); None: another one."""
    if not isinstance(part, Slot):
        return part
    entity, _, status = kind.name.partition(".")
    known = {
        "event.type": kind.name,
        "event.entity": entity,
        "event.status": status,
    }
    if part.name not in known:
        return None
    return _FILTERS[part.filter](known[part.name])


_FILTERS: Mapping[str, Callable[[str], str]] = {"": str, "lower": str.lower, "upper": str.upper}


EVENT_ID = {"type": "string", "pattern": "^evt_[0-9a-f]{16}$"}


def body_schema(dialect: Dialect, kind: EventType, place: str, base: str) -> Any:
    """Return the JSON Schema of a type's body.

    ``place`` is the pointer (``#/components/schemas/invoice.paid``) under which it will stand;
    ``base`` the URI that a schema gets which cannot be moved.
    """
    if is_bare(dialect):
        return _payload_schema(kind, place, base)
    return _schema(json.loads(dialect.envelope), kind, place, base)


def _schema(value: Any, kind: EventType, place: str, base: str) -> Any:
    match value:
        case dict():
            return _object_schema(value, kind, place, base)
        case list():
            items = [
                _schema(each, kind, f"{place}/prefixItems/{index}", base)
                for index, each in enumerate(value)
            ]
            return {"type": "array", **({"prefixItems": items} if items else {})}
        case str():
            return _text_schema(parts(value, ""), kind, place, base)
        case _:
            return {"const": value}


def _object_schema(value: dict[str, Any], kind: EventType, place: str, base: str) -> dict[str, Any]:
    """Describe an object's members, but those whose key only an event decides."""
    named = {
        "".join(_of_type(part, kind) or "" for part in parts(key, "")): inner
        for key, inner in value.items()
        if all(_of_type(part, kind) is not None for part in parts(key, ""))
    }
    properties = {
        key: _schema(inner, kind, f"{place}/properties/{pointed(key)}", base)
        for key, inner in named.items()
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _text_schema(found: tuple[Part, ...], kind: EventType, place: str, base: str) -> Any:
    constants = [_of_type(part, kind) for part in found]
    if all(each is not None for each in constants):
        return {"const": "".join(each or "" for each in constants)}
    if len(found) > 1 or not isinstance(found[0], Slot):
        return {"type": "string"}
    match found[0].name:
        case "event.id":
            return dict(EVENT_ID)
        case "event.occurred_at" if found[0].filter.startswith("unix"):
            return {"type": "integer"}
        case "event.occurred_at":
            return {"type": "string", "format": "date-time"}
        case "event.transition":
            return {"type": "string"}
        case "payload":
            return _payload_schema(kind, place, base)
        case name:
            return {"description": f"The payload's own {name.removeprefix('payload.')}."}


def pointed(key: str) -> str:
    """Write a key as a step of a JSON pointer within a URI."""
    return quote(escaped(key), safe="~")


def _payload_schema(kind: EventType, place: str, base: str) -> Any:
    """Return the type's own schema, so that its references still lead to itself."""
    if kind.schema is None:
        return {"description": "The payload; its example shows what there is."}
    schema = json.loads(kind.schema)
    if _stays(schema):
        return (
            {"$id": f"{base}/{quote(kind.name)}", **schema} if isinstance(schema, dict) else schema
        )
    return _moved(schema, place)


_ANCHORS = frozenset({"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"})
_ONE = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_BY_NAME = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)


def _stays(schema: Any) -> bool:
    """Return whether a schema contains references by name."""
    if not isinstance(schema, dict):
        return False
    return not _ANCHORS.isdisjoint(schema) or any(map(_stays, _within(schema)))


def _within(schema: Mapping[str, Any]) -> Iterator[Any]:
    for key, value in schema.items():
        if key in _ONE:
            yield value
        elif key in _SEVERAL and isinstance(value, list):
            yield from value
        elif key in _BY_NAME and isinstance(value, dict):
            yield from value.values()


def _moved(schema: Any, place: str) -> Any:
    """Let the references of a schema, ``#/$defs/line``, start where it now stands."""
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved_value(key, value, place) for key, value in schema.items()}
    moved.pop("$schema", None)
    return moved


def _moved_value(key: str, value: Any, place: str) -> Any:
    if key == "$ref" and isinstance(value, str) and value.startswith("#"):
        return place + value[1:]
    if key in _ONE:
        return _moved(value, place)
    if key in _SEVERAL and isinstance(value, list):
        return [_moved(each, place) for each in value]
    if key in _BY_NAME and isinstance(value, dict):
        return {name: _moved(each, place) for name, each in value.items()}
    return value
