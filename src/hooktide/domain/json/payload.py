"""The rules for payloads: JSON that every receiver can read, not too large, not too deep.

Payloads are parsed only to be checked. They are sent byte for byte as received.
"""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn, Protocol

import jsonschema_rs
import orjson

from hooktide.domain.errors import ConfigError, Fault, InvalidError
from hooktide.domain.json.pointer import escaped
from hooktide.domain.json.schema_cost import cost_of

MAX_BYTES = 262_144
MAX_DEPTH = 64
MAX_FAULTS = 20
MAX_CHECKED_VALUES = 2_000_000
"""Maximum checks of values by a schema for one payload; each takes about 20 ns."""
MANY_VALUES = 250
"""In a payload with this many values, only the first fault is reported: each costs about 5 us."""
MAX_PATTERN_SIZE = 1_000_000
"""Maximum size of a compiled ``pattern`` in bytes."""


def check_payload(raw: bytes, *, max_depth: int = MAX_DEPTH) -> None:
    """Check that a payload is JSON (RFC 8259) that all receivers can read; any value will do.

    UTF-8 without a byte order mark, no lone surrogates, no number beyond a double.

    :raises InvalidError: ``payload_too_large`` (413), ``too_deep`` (422), ``invalid_json`` (400).
    """
    check_size(raw, max_depth=max_depth)
    read_payload(raw)


def check_size(raw: bytes, *, max_depth: int = MAX_DEPTH) -> None:
    """Check how large and how deep a payload is: the first half of ``check_payload``.

    :raises InvalidError: ``payload_too_large`` (413), ``too_deep`` (422).
    """
    if len(raw) > MAX_BYTES:
        raise InvalidError(
            "payload_too_large",
            f"the payload has {len(raw)} bytes; {MAX_BYTES} at most",
            pointer="/payload",
            status=413,
        )
    if depth_of(raw, max_depth) > max_depth:
        raise InvalidError(
            "too_deep",
            f"the payload is nested deeper than {max_depth} levels",
            pointer="/payload",
        )


def read_payload(raw: bytes) -> Any:
    """Read a payload of a checked size: the second half of ``check_payload``.

    :raises InvalidError: ``invalid_json`` (400).
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidError("invalid_json", str(error), pointer="/payload", status=400) from None


def depth_of(raw: bytes, enough: int) -> int:
    """Return the maximum nesting depth of brackets, or as many as there are if that is ``enough``.

    It takes linear time for any input.
    """
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets <= enough:
        return brackets
    left = _STRINGS.sub(b"", raw).translate(_STEPS, _NOT_BRACKETS)
    return max(itertools.accumulate(memoryview(left).cast("b")), default=0)


# The closing quote is optional, so that no start can fail and be tried again.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# Up and down as signed bytes: 255 is -1.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class UnusableSchemaError(InvalidError):
    """A schema was stored under earlier rules, so payloads cannot be checked against it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            "payload_breaks_schema",
            f"the schema of {name} cannot be used: {reason}",
            pointer="/payload",
        )
        self.reason = reason


class HasSchema(Protocol):
    """An event type, as far as its schema is concerned."""

    @property
    def name(self) -> str:
        """Return the type's name."""

    @property
    def schema(self) -> str | None:
        """Return a JSON Schema, as JSON; None: any payload will do."""


def check_schema(kind: HasSchema, payload: bytes) -> None:
    """Check a payload (valid JSON) against its type's schema.

    No value of the payload is repeated in the error, which may be logged.

    :raises InvalidError: it breaks the schema; a fault for each place, ``MAX_FAULTS`` at most.
    """
    if kind.schema is not None:
        check_value(kind, payload, orjson.loads(payload))


def check_value(kind: HasSchema, payload: bytes, value: Any) -> None:
    """Check a payload against its type's schema; ``value`` is the result of ``read_payload``.

    :raises InvalidError: as ``check_schema``.
    :raises UnusableSchemaError: the schema cannot decide; the payload may be valid.
    """
    if kind.schema is None:
        return
    values = sum(map(payload.count, (b",", b":", b"[", b"{"))) + 1
    checks = values * _compiled(kind).checks
    if checks > MAX_CHECKED_VALUES:
        raise InvalidError(
            "payload_breaks_schema",
            f"the payload has {values:,} values, and the schema of {kind.name} checks each up to "
            f"{checks // values:,} times: send fewer values, or make the schema simpler",
            pointer="/payload",
        )
    if faults := tuple(_faults(kind, value, all_of_them=values < MANY_VALUES)):
        first = faults[0]
        problem = InvalidError(
            "payload_breaks_schema",
            f"the payload breaks the schema of {kind.name} at {first.pointer}: {first.detail}",
            pointer=first.pointer,
        )
        problem.faults = faults
        raise problem


def _compiled(kind: HasSchema) -> "Schema":
    compiled = _schema_or_reason(kind.schema or "true")
    if isinstance(compiled, str):  # it was stored before such schemas were refused
        raise UnusableSchemaError(kind.name, compiled)
    return compiled


@lru_cache(maxsize=1024)
def _schema_or_reason(schema: str) -> "Schema | str":
    """Compile a schema once, or return why it cannot be used; both results are cached."""
    try:
        return compile_schema(schema)
    except ConfigError as error:
        return error.reason


def _faults(kind: HasSchema, value: Any, *, all_of_them: bool) -> Iterator[Fault]:
    compiled = _compiled(kind).validator
    if all_of_them:
        found = itertools.islice(compiled.iter_errors(value), MAX_FAULTS)
        yield from (_fault(error) for error in found)
        return
    try:
        compiled.validate(value)
    except jsonschema_rs.ValidationError as error:
        yield _fault(error)


def _fault(error: Any) -> Fault:
    return Fault(
        "/".join(("/payload", *map(escaped, error.instance_path))), "schema", error.message
    )


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema, and how often it checks one value in the worst case."""

    validator: Any
    checks: int


@lru_cache(maxsize=1024)
def compile_schema(schema: str) -> Schema:
    """Compile a schema (JSON Schema 2020-12, as JSON text) once. No ``$ref`` is ever fetched.

    A ``pattern`` takes linear time: it has no look-around and no backreferences.

    :raises ConfigError: it is not a valid schema, refers to an external one, or is too expensive to
    check.
    """
    try:
        read = orjson.loads(schema)
        cost = cost_of(read, MAX_DEPTH)
        compiled = jsonschema_rs.Draft202012Validator(
            read,
            retriever=_refuse,
            mask="the value",
            pattern_options=jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_SIZE),
        )
    except jsonschema_rs.ValidationError as error:
        raise ConfigError(_why_no_schema(error)) from None
    except ValueError as error:  # of the JSON, a reference, or its depth
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"this is not a JSON Schema 2020-12: {reason}") from None
    if cost.unknown:
        raise ConfigError(
            f"the $ref {cost.unknown[0][:100]!r} cannot be followed; write it as #/$defs/name"
        )
    return Schema(compiled, cost.checks)


def _why_no_schema(error: Any) -> str:
    """Explain why the validator refuses a schema, in a project file's terms."""
    path = [str(step) for step in error.instance_path]
    where = f" at {'.'.join(path)}" if path else ""
    value = json.dumps(error.instance, ensure_ascii=False)
    reason = error.message.replace("the value", value[:80], 1)
    if path[-1:] == ["type"]:
        reason = f"{value[:80]} is not a type; use {_TYPES} or a list of them"
    elif reason.endswith('is not a "regex"'):
        reason = (
            f"{value[:80]} is not a usable pattern; avoid look-around, backreferences and large "
            "repetitions"
        )
    return f"this is not a JSON Schema 2020-12{where}: {reason}"


_TYPES = "string, number, integer, boolean, object, array, null"


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"schemas are never fetched; copy {uri} under $defs")
