"""What a payload must be: JSON that every receiver can read, not too large, not too deep.

Payloads are read here only to be judged. The bytes that came in are the bytes that go out.
"""

import itertools
import re
from functools import lru_cache
from typing import Any, NoReturn, Protocol

import jsonschema_rs
import orjson

from hooktide.domain.errors import ConfigError, Fault, InvalidError

MAX_BYTES = 262_144
MAX_DEPTH = 64
MOST_FAULTS = 20


def check_payload(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> None:
    """Check that a payload is JSON (RFC 8259) that all receivers can read; any value will do.

    UTF-8 without a byte order mark, no lone surrogates, no number beyond a double.

    :raises InvalidError: ``payload_too_large`` (413), ``too_deep`` (422), ``invalid_json`` (400).
    """
    if len(raw) > max_bytes:
        raise InvalidError(
            "payload_too_large",
            f"the payload has {len(raw)} bytes; {max_bytes} at most",
            pointer="/payload",
            status=413,
        )
    if _depth(raw, max_depth) > max_depth:
        raise InvalidError(
            "too_deep",
            f"the payload is nested deeper than {max_depth} levels",
            pointer="/payload",
        )
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidError("invalid_json", str(error), pointer="/payload", status=400) from None


def _depth(raw: bytes, enough: int) -> int:
    """Count how many brackets are open at once, at most; linear, whatever is sent."""
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


class HasSchema(Protocol):
    """An event type, as far as its payloads' schema goes."""

    @property
    def name(self) -> str:
        """Return the type's name."""

    @property
    def schema(self) -> str | None:
        """Return a JSON Schema, as JSON; None: any payload will do."""


def check_schema(kind: HasSchema, payload: bytes) -> None:
    """Check a payload (valid JSON) against its type's schema.

    No value of the payload is repeated in the error, which may be logged.

    :raises InvalidError: it breaks the schema; a fault for each place, ``MOST_FAULTS`` at most.
    """
    if kind.schema is None:
        return
    found = validator(kind.schema).iter_errors(orjson.loads(payload))
    faults = tuple(
        Fault(_pointer(error.instance_path), "schema", error.message)
        for error in itertools.islice(found, MOST_FAULTS)
    )
    if faults:
        first = faults[0]
        problem = InvalidError(
            "payload_breaks_schema",
            f"the payload breaks the schema of {kind.name} at {first.pointer}: {first.detail}",
            pointer=first.pointer,
        )
        problem.faults = faults
        raise problem


@lru_cache(maxsize=1024)
def validator(schema: str) -> Any:
    """Compile a schema (JSON Schema 2020-12, as JSON text) once. No ``$ref`` is ever fetched.

    :raises ConfigError: it is no schema, or refers to one elsewhere.
    """
    try:
        return jsonschema_rs.Draft202012Validator(
            orjson.loads(schema), retriever=_refuse, mask="the value"
        )
    except ValueError as error:  # of the JSON, the schema, a reference, or its depth
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"this is no JSON Schema 2020-12: {reason}") from None


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"schemas are never fetched; copy {uri} under $defs")


def _pointer(path: list[str | int]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "/".join(("/payload", *steps))
