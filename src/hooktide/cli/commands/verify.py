"""``hooktide verify``: check a request's signature, and explain exactly what is wrong.

If the signature does not match, common mistakes are tried: a line end added by an editor, JSON
parsed and re-encoded, the secret in its other form. The one that would have matched is reported.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from hooktide.cli.options import Flag, instant
from hooktide.cli.output import print_json, print_line
from hooktide.domain.errors import ConfigError, HooktideError
from hooktide.verify import Check, Verification, Verifier


@dataclass(frozen=True, slots=True)
class Received:
    """A request to verify."""

    dialect: str
    secrets: tuple[str, ...]
    body: bytes
    headers: tuple[tuple[str, str], ...]


def verify(
    dialect: str,
    *,
    secret: Annotated[list[str], Parameter(name=["--secret"], negative=(), show_default=False)],
    body: Annotated[str, Parameter(allow_leading_hyphen=True)],
    header: Annotated[
        list[str], Parameter(name=["--header", "-H"], negative=(), show_default=False)
    ] = [],  # noqa: B006
    headers: str | None = None,
    at: str | None = None,
    any_age: Flag = False,
    json: Flag = False,
) -> None:
    """Check a request's signature, and explain what is wrong. Needs no server.

    Exits with 0 if it is verified, and with 1 if not.

    Parameters
    ----------
    dialect
        Who sent it: a shipped project (see "hooktide providers"), a project's file, or
        standard-webhooks.
    secret
        The endpoint's secret, in either form. May be repeated. @FILE keeps it out of the history.
    body
        The file with the raw body, or - for standard input.
    header
        A received header, like -H "webhook-id: evt_...". May be repeated.
    headers
        A file with the received headers, one "name: value" per line. A request line, empty lines
        and curl's "> " before each line are ignored.
    at
        When it was received: a time, or how long ago, like 2h. Default: now.
    any_age
        Accept a timestamp of any age.
    json
        Print JSON instead.
    """
    given = [*_read(headers).decode("latin-1").splitlines()] if headers else []
    received = Received(
        dialect,
        tuple(_secret(each) for each in secret),
        _read(body),
        tuple(_header(line) for line in [*given, *header] if _is_header(line)),
    )
    now = None if at is None else instant(at, "--at").timestamp()
    found = _check(received, now, any_age)
    hint = "" if found.valid else _hint(received)
    if json:
        print_json({"valid": found.valid, "checks": found.checks, "hint": hint or None})
    else:
        _print(found, hint)
    sys.exit(0 if found.valid else 1)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file} ({error.strerror})") from None


def _secret(text: str) -> str:
    return _read(text[1:]).decode("latin-1").strip() if text.startswith("@") else text


def _is_header(line: str) -> bool:
    """Remove what is often copied along with headers: empty lines, the request line."""
    text = line.strip().removeprefix("> ").removeprefix("< ").strip()
    return text not in {"", ">", "<"} and not text.startswith(("POST ", "HTTP/"))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.strip().removeprefix("> ").removeprefix("< ").partition(":")
    if not colon or not name.strip():
        raise ConfigError(
            f'{line[:80]!r} is not a header like "webhook-id: evt_..."', key="--header"
        )
    return name.strip(), value.strip()


def _check(received: Received, now: float | None, any_age: bool) -> Verification:
    tolerance = None if any_age else timedelta(minutes=5)
    verifier = Verifier(received.dialect, received.secrets, tolerance=tolerance)
    if now is not None:
        verifier = Verifier(
            received.dialect, received.secrets, tolerance=tolerance, clock=lambda: now
        )
    return verifier.check(received.body, received.headers)


def _print(found: Verification, hint: str) -> None:
    for check in found.checks:
        print_line(*_cells(check))
    if not found.checks:
        print_line(Text("invalid", style="red"), found.reason)
    if hint:
        print_line(f"\n{hint}")


def _cells(check: Check) -> tuple[Text, str, str]:
    word, style = ("valid", "green") if check.valid else ("invalid", "red")
    return Text(f"{word:<7}", style=style), check.header, check.reason


def _hint(received: Received) -> str:
    """Return the mistake that explains the mismatch; empty if none of the known ones does."""
    if _matches(received):
        return (
            "The signature itself is right; only its timestamp is too old. For a stored request, "
            "give the time of receipt with --at, or use --any-age."
        )
    for words, other in _others(received):
        if _matches(other):
            return words
    return ""


def _matches(received: Received) -> bool:
    try:
        return _check(received, None, any_age=True).valid
    except HooktideError:
        return False


def _others(received: Received) -> Iterator[tuple[str, Received]]:
    for words, body in _bodies(received.body):
        yield words, Received(received.dialect, received.secrets, body, received.headers)
    for words, secret in _secrets(received):
        yield words, Received(received.dialect, (secret,), received.body, received.headers)


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    ended = "It matches without the trailing line end: an editor or echo added it."
    yield ended, body.removesuffix(b"\n").removesuffix(b"\r")
    yield "It matches with a trailing line end, which was cut off.", body + b"\n"
    yield (
        "It matches with LF line ends: they were converted to CRLF.",
        body.replace(b"\r\n", b"\n"),
    )
    yield (
        "It matches without the body's byte order mark.",
        body.removeprefix(b"\xef\xbb\xbf"),
    )
    parsed = (
        "It matches the same JSON in another encoding: the body was parsed and re-encoded. Verify "
        "the raw bytes, before any parsing."
    )
    try:
        value = json.loads(body)
    except ValueError:
        return
    for ascii_only in (False, True):
        for separators in ((",", ":"), (", ", ": ")):
            text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
            yield parsed, text.encode("utf-8", "surrogatepass")


def _secrets(received: Received) -> Iterator[tuple[str, str]]:
    for secret in received.secrets:
        yield "It matches without the spaces around the secret.", secret.strip()
        yield (
            "It matches with whsec_ in front of the secret: the given text is the base64 of its "
            "bytes.",
            f"whsec_{secret.strip()}",
        )
