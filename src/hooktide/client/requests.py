"""Requests, and how their responses are read. Nothing is sent here.

    call("GET", "/v1/accounts/{account}", Account, account="acme")

is the request for an ``Account``; ``pages`` are the steps for a whole list.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from hooktide import __version__
from hooktide.client.errors import (
    ClientError,
    InvalidError,
    NaiveDatetimeError,
    UnexpectedAnswerError,
    problem_error,
    read_problem,
)
from hooktide.domain import errors
from hooktide.domain.http.head import read_http_date
from hooktide.domain.texts import check_is_text
from hooktide.wire.fields import Listed, PageQuery

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

JSON = "application/json"
TOML = "application/toml"
PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Request(Generic[T_co]):
    """One call of the API; ``decode`` reads the response's body.

    ``repeatable``: it may be retried even if it may have been carried out.
    """

    method: str
    path: str
    decode: Callable[[bytes], T_co]
    body: bytes = b""
    content_type: str = JSON
    repeatable: bool = False
    idempotency_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this request adds."""
        return {"content-type": self.content_type} if self.body else {}

    @property
    def is_removal(self) -> bool:
        """Whether it deletes something and returns nothing, so that 404 on a retry is success.

        Erasing an account is not a command, since its response reports progress.
        """
        return self.method == "DELETE" and self.decode is _nothing

    def then(self, use: Callable[[T_co], U]) -> "Request[U]":
        """Return the same request with ``use`` applied to its result."""
        decode = self.decode
        return Request(
            self.method,
            self.path,
            lambda body: use(decode(body)),
            self.body,
            self.content_type,
            self.repeatable,
            self.idempotency_key,
        )


Query: TypeAlias = msgspec.Struct | Mapping[str, Any] | None


def call(
    method: str,
    path: str,
    answer: type[T],
    *,
    query: Query = None,
    body: Any = None,
    repeatable: bool | None = None,
    **names: str,
) -> Request[T]:
    """Build the request of an operation that returns JSON.

    ``names`` are put into a path like ``/v1/accounts/{account}``. ``body`` is sent as JSON; a text
    is a project file. A POST is not ``repeatable`` by default.
    """
    content, content_type = b"", JSON
    if isinstance(body, str):
        content, content_type = body.encode(), TOML
    elif body is not None:
        content = encode(body)
    return Request(
        method,
        _path(path, names, query),
        msgspec.json.Decoder(answer).decode,
        content,
        content_type,
        method != "POST" if repeatable is None else repeatable,
    )


def command(method: str, path: str, *, query: Query = None, **names: str) -> Request[None]:
    """Build the request of an operation that returns nothing."""
    return Request(method, _path(path, names, query), _nothing, repeatable=method != "POST")


def raw(path: str, **names: str) -> Request[bytes]:
    """Build the request for the bytes at a path."""
    return Request("GET", _path(path, names, None), bytes, repeatable=True)


def _nothing(_: bytes) -> None:
    return None


encode = msgspec.json.Encoder(decimal_format="number").encode
"""Write the JSON of a request, a Decimal as a number; payloads: ``publishing.payload_json``."""


def _path(template: str, names: Mapping[str, str], query: Query) -> str:
    try:
        check_is_text(**names)
    except errors.InvalidError as error:
        raise InvalidError.before_sending("Invalid argument", error) from error
    place = template.format_map({name: _segment(each) for name, each in names.items()})
    given = msgspec.to_builtins(query or {})
    pairs = [f"{name}={_parameter(each)}" for name, each in given.items() if each is not None]
    return place + ("?" + "&".join(pairs) if pairs else "")


def _segment(text: str) -> str:
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted in {"", ".", ".."} else quoted


def _parameter(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else quote(str(value), safe="")


def instant(at: datetime | str | None) -> str | None:
    """Write an instant as the API reads it.

    :raises NaiveDatetimeError: it has no time zone.
    """
    if at is None or isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise NaiveDatetimeError(at)
    return at.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Backoff:
    """A pause after ``made`` attempts, as the retry policy says."""

    made: int


Steps: TypeAlias = Generator[Request[Any] | Backoff | Sequence[T], Any, None]
"""The steps that yield a list, carried out by a transport.

The transport sends back a request's result, and after a ``Backoff`` whether to retry. The items of
a sequence are passed to the caller.
"""


def pages(path: str, kind: type[T], query: PageQuery, limit: int | None, **names: str) -> Steps[T]:
    """Get a list page by page, newest first, at most ``limit`` items."""
    left = limit
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        query = msgspec.structs.replace(query, limit=size)
        page: Listed[T] = yield call("GET", path, Listed[kind], query=query, **names)  # type: ignore[valid-type, arg-type]
        yield page.items
        if page.next_cursor is None:
            return
        left = None if left is None else left - len(page.items)
        query = msgspec.structs.replace(query, cursor=page.next_cursor)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(request: Request[T], response: Response) -> T:
    """Return a request's result.

    :raises ProblemError: the server refused.
    :raises UnexpectedAnswerError: the response is not from a compatible Hooktide server.
    """
    if not 200 <= response.status < 300:
        raise error_of(request, response)
    try:
        return request.decode(response.body or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswerError(
            f"{request.method} {request.path} returned {response.status} with a body that a "
            f"Hooktide {__version__} server would not send ({error}); check the URL",
            response.status,
        ) from None


def error_of(request: Request[Any], response: Response) -> ClientError:
    """Return the exception for an error response."""
    problem = read_problem(response.body, response.status)
    if problem is not None:
        return problem_error(problem, retry_after(response))
    where = response.headers.get("location", "")
    return UnexpectedAnswerError(
        f"{request.method} {request.path} returned {response.status}, and not from a Hooktide "
        "server: "
        + (
            f"use the URL that it redirects to, {where}"
            if where
            else "check the URL, and any proxy"
        ),
        response.status,
    )


def retry_after(response: Response) -> float | None:
    """Return the seconds of a response's Retry-After."""
    text = response.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    at = read_http_date(text)
    return None if at is None else max(0.0, at - time.time())
