"""Requests read strictly: JSON as RFC 8259 has it, no member twice, no parameter unknown.

What a proxy or another parser could understand differently from us is refused.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from hooktide.domain.errors import InvalidError
from hooktide.domain.http.head import content_length
from hooktide.domain.json.pointer import escaped
from hooktide.web.expected import names_instead, values_instead

MAX_BODY = 64 * 1024
"""Bytes of a body, where nothing says otherwise: what is larger holds the event loop too long."""
MAX_LARGE_BODY = 1024 * 1024
"""Bytes of a body of those kinds that may be large; they are read off the event loop."""
MAX_PARAMETERS = 50

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def read_body(request: Request, kind: str, limit: int = MAX_BODY) -> bytes:
    """Return the body of a request, which must have this media type and be UTF-8.

    ``limit``: how many bytes it may have.

    :raises InvalidError: it is of another kind (415) or too large (413).
    """
    _check_kind(request, kind)
    if content_length(request.headers.get("content-length", "0").encode()) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _check_kind(request: Request, kind: str) -> None:
    given, _, parameter = request.headers.get("content-type", "").lower().partition(";")
    charset = parameter.replace('"', "").strip()
    if given.strip() != kind or charset not in {"", "charset=utf-8"}:
        raise InvalidError("unsupported_media_type", f"send {kind} in UTF-8", status=415)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidError(
            "unsupported_encoding", "send the body without a Content-Encoding", status=415
        )


def _too_large(limit: int) -> InvalidError:
    return InvalidError("body_too_large", f"{limit} bytes at most", status=413)


def is_empty(request: Request) -> bool:
    """Whether a request has no body at all."""
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


async def refuse_body(request: Request) -> None:
    """Take nothing but an empty object where no body is expected.

    A client that sends more would expect something that does not happen.

    :raises InvalidError: there is more.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > len(_NOTHING) + 64:
            break
    if body.strip() not in (b"", _NOTHING):
        raise InvalidError("invalid_body", "this takes no body; send none")


_NOTHING = b"{}"


async def read_json(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Decode a body; a large one off the event loop.

    :raises InvalidError: as ``decode_json``.
    """
    if len(body) <= MAX_BODY:
        return decode_json(body, decoder)
    return await asyncio.to_thread(decode_json, body, decoder)


def decode_json(body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Decode a body.

    :raises InvalidError: it is not JSON (400), has a member twice (400) or breaks its type (422).
    """
    try:
        value = decoder.decode(body)
        json.loads(body, object_pairs_hook=no_member_twice, parse_int=str, parse_float=str)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_body", decoder.type) from None
    except RecursionError:
        raise InvalidError("too_deep", "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidError("invalid_json", why_not_json(error, body), status=400) from None
    return value


def why_not_json(error: Exception, body: bytes) -> str:
    """Return why a body is not JSON; msgspec calls one with a lone surrogate truncated."""
    if "truncated" in str(error) and _SURROGATE.search(body):
        return "the body has a lone surrogate, like \\ud800, which is not a character"
    return f"the body is not JSON: {error}"


_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")


def no_member_twice(pairs: list[tuple[str, Any]]) -> None:
    """Check the members of one object, as an ``object_pairs_hook`` of ``json.loads``.

    :raises InvalidError: one is there twice (400).
    """
    if len({name for name, _ in pairs}) == len(pairs):
        return
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidError(
                "duplicate_key", f"{name[:100]!r} is there twice; send it once", status=400
            )
        seen.add(name)


def read_query(
    query_string: bytes,
    kind: type[Any],
    integers: Iterable[str],
    booleans: Iterable[str] = (),
) -> Any:
    """Read the query parameters into ``kind``.

    Those named in ``integers`` are whole numbers, those in ``booleans`` are ``true`` or ``false``.

    :raises InvalidError: one is unknown, there twice, or breaks its rule.
    """
    values: dict[str, Any] = {}
    for name, text in _pairs(query_string):
        if name in values:
            raise _wrong_parameter(name, "give it once")
        if _CONTROL.search(text):
            raise _wrong_parameter(name, "control characters are not allowed")
        if name in integers:
            values[name] = _read_integer(name, text)
        elif name in booleans:
            values[name] = {"true": True, "false": False}.get(text, text)
        else:
            values[name] = text
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_query", kind) from None


def _read_integer(name: str, text: str) -> int:
    # int() would take other scripts' digits, signs, spaces and underscores.
    if not _INTEGER.fullmatch(text):
        raise _wrong_parameter(name, "write a whole number in digits")
    return int(text)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise InvalidError(
            "invalid_query", "the query string is not UTF-8, or has too many parameters"
        ) from None


def _wrong_parameter(name: str, rule: str) -> InvalidError:
    return InvalidError(
        "invalid_query", f"{name[:100]!r}: {rule}", pointer=f"/{escaped(name[:100])}"
    )


def broken_rule(error: msgspec.ValidationError, code: str, kind: Any) -> InvalidError:
    """Return which rule of ``kind`` a value breaks, where (RFC 6901), and what would be right."""
    detail, _, path = str(error).partition(" - at `$")
    steps = [step.rstrip("`") for step in re.split(r"[.\[\]`]+", path) if step]
    detail = detail[:300]
    if detail.startswith(_UNKNOWN_VALUE):
        detail += values_instead(kind, steps)
    named = _MEMBER.search(detail)
    if named:
        name = named[2].rstrip("`")
        if named[1] == _UNKNOWN_MEMBER:
            detail += names_instead(kind, steps, name)
        steps.append(name)
    pointer = "".join(f"/{escaped(step)}" for step in steps)
    return InvalidError(code, detail, pointer=pointer)


_UNKNOWN_VALUE = "Invalid enum value"
_UNKNOWN_MEMBER = "contains unknown"
_MEMBER = re.compile(rf"(missing required|{_UNKNOWN_MEMBER}) field `(.{{1,100}})")
