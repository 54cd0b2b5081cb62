"""The one JSON encoder for payloads, used by the client, library mode, ``emit`` and ``send``.

A Python value is encoded; JSON text is kept byte for byte. The type alone decides: a ``str`` is a
value and becomes a JSON string; ``bytes`` and ``RawJSON`` are JSON text.
"""

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from hooktide.domain.errors import InvalidError
from hooktide.domain.json.pointer import escaped


class RawJSON:
    """JSON text that is sent byte for byte, as a payload or anywhere inside one.

    It keeps what Python values cannot express: ``1e5``, duplicate members, white space.
    """

    __slots__ = ("text",)  # no dataclass: msgspec would encode that as an object

    def __init__(self, text: str | bytes) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"RawJSON({self.text!r})"


def encode_payload(value: Any, at: str = "/payload") -> bytes:
    """Return a payload as JSON text (UTF-8), ready to be sent; ``at`` is its pointer.

    ``bytes`` and ``RawJSON`` are JSON text and are returned as they are. Everything else is
    encoded: ``str`` as a JSON string, ``Decimal`` as a JSON number, Pydantic models, dataclasses,
    attrs and msgspec classes as objects, dates as RFC 3339, UUIDs as strings, ``bytes`` inside a
    value as base64.

    :raises InvalidError: it is not JSON, or cannot be written as JSON: NaN and infinities, types
        that JSON has no form for. The pointer names the place.
    """
    cause: BaseException | None
    try:
        if isinstance(value, RawJSON | bytes | bytearray | memoryview | msgspec.Raw):
            return _checked_text(value)
        return _encoded(value)
    except _NotJSON as error:
        pointer, why, cause = at + error.pointer, error.why, error.__cause__
    except RecursionError as error:
        pointer, why, cause = at, "is nested too deeply, or contains itself", error
    raise InvalidError("invalid_json", f"{pointer} {why}", pointer=pointer, status=400) from cause


class _NotJSON(Exception):
    def __init__(self, pointer: str, why: str) -> None:
        self.pointer, self.why = pointer, why


def _checked_text(value: Any) -> bytes:
    text = value.text if isinstance(value, RawJSON) else value
    try:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        reason = _why_not_json(raw)
    except UnicodeEncodeError as error:
        raw, reason = b"", str(error)
    if reason:
        raise _NotJSON(
            "",
            f"is not JSON text: {reason}; give a Python value to have it encoded (a str becomes a "
            "JSON string), or valid JSON as bytes or RawJSON",
        )
    return raw


def _encoded(value: Any) -> bytes:
    try:
        text = _ENCODER.encode(value)
    except _NotJSON as error:  # a RawJSON inside it
        raise _NotJSON(_unencodable(value, ""), error.why) from None
    except (TypeError, ValueError) as error:  # of ours or of a model's own code
        raise _NotJSON(_unencodable(value, ""), f"cannot be written as JSON: {error}") from error
    reason = _why_not_json(text)
    if reason or _MAY_BE_NO_NUMBER.search(text):
        _check_numbers(msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_plain), "")
    if reason:
        raise _NotJSON("", f"cannot be written as JSON that receivers can read: {reason}")
    return text


def _plain(value: Any) -> Any:
    """Return a JSON-compatible value for one that msgspec does not know."""
    if isinstance(value, RawJSON):
        return msgspec.Raw(_checked_text(value))
    if hasattr(value, "model_dump"):
        return _with_decimals(value.model_dump(mode="json"), value.model_dump())
    raise TypeError(
        f"cannot encode {type(value).__module__}.{type(value).__qualname__} as JSON; convert it to "
        "a dict, list, str, int, float, Decimal, bool or None"
    )


def _with_decimals(dumped: Any, values: Any) -> Any:
    """Return a dumped Pydantic model with its Decimals restored: Pydantic turns them into strings.

    ``values`` is the same model in Python mode. If a serializer changed a Decimal, its result
    stays.
    """
    if isinstance(values, Decimal) and dumped == str(values):
        return values
    if isinstance(dumped, dict) and isinstance(values, dict) and len(dumped) == len(values):
        pairs = zip(dumped.items(), values.values(), strict=True)
        return {name: _with_decimals(each, value) for (name, each), value in pairs}
    sequences = isinstance(dumped, list) and isinstance(values, list | tuple | set | frozenset)
    if sequences and len(dumped) == len(values):
        return [_with_decimals(*each) for each in zip(dumped, values, strict=True)]
    return dumped


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_plain)
_KEPT = (Decimal, msgspec.Raw)
_MAY_BE_NO_NUMBER = re.compile(rb"null|nan|inf", re.IGNORECASE)
"""What msgspec writes for a NaN or an infinity: ``null``, and the name where it is a key."""


def _why_not_json(text: bytes) -> str:
    try:
        orjson.loads(text)
    except ValueError as error:
        return str(error)
    return ""


def _check_numbers(value: Any, pointer: str) -> None:
    if isinstance(value, Mapping):
        for key in value:
            if not _is_number_of_json(key):
                raise _NotJSON(pointer, f"has the key {key!r}; write keys as str")
    elif not _is_number_of_json(value):
        raise _NotJSON(pointer, f"is {value}, a number that JSON does not have; use None or a str")
    for place, each in _children(value, pointer):
        _check_numbers(each, place)


def _is_number_of_json(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or math.isfinite(value)


def _unencodable(value: Any, pointer: str) -> str:
    """Return the pointer of the innermost dict, list or value that cannot be encoded."""
    for place, each in _children(value, pointer):
        try:
            _ENCODER.encode(each)
        except (TypeError, ValueError, _NotJSON):
            return _unencodable(each, place)
    return pointer


def _children(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    found: Any = ()
    if isinstance(value, Mapping):
        found = value.items()
    elif isinstance(value, list | tuple):
        found = enumerate(value)
    for name, each in found:
        yield f"{pointer}/{escaped(name)}", each
