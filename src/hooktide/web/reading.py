"""Requests read strictly: JSON as RFC 8259 has it, no member twice, no parameter unknown.

What a proxy or another parser could understand differently from us is refused.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from hooktide.domain.errors import InvalidError

BODY_LIMIT = 1024 * 1024
MOST_PARAMETERS = 50

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def read_body(request: Request, kind: str) -> bytes:
    """Return the body of a request, which has to be of this media type, in UTF-8.

    :raises InvalidError: it is of another kind (415) or too large (413).
    """
    _check_kind(request, kind)
    if int(request.headers.get("content-length", "0")) > BODY_LIMIT:
        raise _too_large()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_LIMIT:
            raise _too_large()
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


def _too_large() -> InvalidError:
    return InvalidError("body_too_large", f"{BODY_LIMIT} bytes at most", status=413)


def is_empty(request: Request) -> bool:
    """Whether a request has no body at all."""
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


async def refuse_body(request: Request) -> None:
    """Take nothing but an empty object where no body is expected.

    Whoever sends more means something by it that would not happen.

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


def read_json(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a body.

    :raises InvalidError: it is not JSON (400), has a member twice (400) or breaks its type (422).
    """
    try:
        value = decode(body)
        json.loads(body, object_pairs_hook=no_member_twice, parse_int=str, parse_float=str)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_body") from None
    except RecursionError:
        raise InvalidError("too_deep", "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidError("invalid_json", f"the body is not JSON: {error}", status=400) from None
    return value


def no_member_twice(pairs: list[tuple[str, Any]]) -> None:
    """Check the members of one object, as an ``object_pairs_hook`` of ``json.loads``.

    :raises InvalidError: one is there twice (400).
    """
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidError(
                "duplicate_key", f"{name[:100]!r} is there twice; send it once", status=400
            )
        seen.add(name)


def read_query(query_string: bytes, kind: type[Any], integers: Iterable[str]) -> Any:
    """Read the query parameters into ``kind``; those named in ``integers`` are whole numbers.

    :raises InvalidError: one is unknown, there twice, or breaks its rule.
    """
    values: dict[str, Any] = {}
    for name, text in _pairs(query_string):
        if name in values:
            raise _wrong_parameter(name, "give it once")
        if _CONTROL.search(text):
            raise _wrong_parameter(name, "control characters are not allowed")
        values[name] = _read_integer(name, text) if name in integers else text
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_query") from None


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
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise InvalidError(
            "invalid_query", "the query string is not UTF-8, or has too many parameters"
        ) from None


def _wrong_parameter(name: str, rule: str) -> InvalidError:
    return InvalidError("invalid_query", f"{name[:100]!r}: {rule}", pointer=_escape(name[:100]))


def broken_rule(error: msgspec.ValidationError, code: str) -> InvalidError:
    """Say which rule a value breaks, and where (RFC 6901)."""
    detail, _, path = str(error).partition(" - at `$")
    steps = [step for step in re.split(r"[.\[\]`]+", path) if step]
    named = _MEMBER.search(detail)
    if named:
        steps.append(named[1])
    return InvalidError(code, detail[:300], pointer="".join(map(_escape, steps)))


_MEMBER = re.compile(r"(?:missing required|contains unknown) field `(.{1,100})")


def _escape(step: str) -> str:
    return "/" + step.rstrip("`").replace("~", "~0").replace("/", "~1")
