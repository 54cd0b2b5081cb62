"""Forms and queries as browsers send them."""

import asyncio
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes, urlencode

from starlette.requests import Request

from hooktide.domain.errors import InvalidError
from hooktide.web.reading import MAX_BODY, is_empty, read_body

KIND = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000
PIECE = 8192


class Form:
    """A submitted form: the first value of a name, or all of them."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = [(name, text.replace("\r\n", "\n")) for name, text in pairs]
        self._first = dict(reversed(self._pairs))

    def __contains__(self, name: object, /) -> bool:
        return name in self._first

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def text(self, name: str, default: str = "") -> str:
        """Return a value without surrounding spaces."""
        return self.raw(name, default).strip()

    def raw(self, name: str, default: str = "") -> str:
        """Return a value unchanged."""
        return self._first.get(name, default)

    def without(self, *names: str) -> "Form":
        """Return the form without some of its fields."""
        return Form((name, text) for name, text in self._pairs if name not in names)

    def encoded(self) -> str:
        """Return the form as a browser sends it."""
        return urlencode(self._pairs)

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a name."""
        return tuple(text for each, text in self._pairs if each == name and text)


async def read_form(request: Request, limit: int = MAX_BODY) -> Form:
    """Read a request's form, of at most ``limit`` bytes; a large one off the event loop.

    A request without a body has an empty one.

    :raises InvalidError: it is not a form, or too large.
    """
    if is_empty(request):
        return Form()
    body = await read_body(request, KIND, limit)
    if len(body) <= MAX_BODY:
        return Form(parse(body))
    return await asyncio.to_thread(lambda: Form(parse(body)))


def read_query(request: Request) -> Form:
    """Read a URL's query string.

    Unknown parameters are ignored: mail programs and the like add their own to links. The API's
    operations (``web.reading.read_query``) refuse unknown ones.

    :raises InvalidError: it is not UTF-8, or too much.
    """
    return Form(parse(request.scope["query_string"]))


def parse(content: bytes) -> list[tuple[str, str]]:
    """Read pairs as a browser writes them.

    :raises InvalidError: they are not UTF-8, or too many.
    """
    try:
        fields = content.decode("ascii").split("&")
        if len(fields) <= MAX_FIELDS:
            pairs = [field.partition("=") for field in fields if field]
            return [(_unescaped(name), _unescaped(text)) for name, _, text in pairs]
    except UnicodeError:
        pass
    raise InvalidError("bad_request", "this is not a form of this site", status=400)


def _unescaped(text: str) -> str:
    """Unescape a name or value piece by piece: of a large one, each escape takes twice as long."""
    text = text.replace("+", " ")
    parts, start = [], 0
    while start < len(text):
        end = start + PIECE
        if end < len(text) and (escape := text.find("%", end - 2, end)) >= 0:
            end = escape
        parts.append(unquote_to_bytes(text[start:end]))
        start = end
    return b"".join(parts).decode()


def sentence(text: str) -> str:
    """Write a problem's detail as a sentence."""
    whole = text[:1].upper() + text[1:]
    return whole if not whole or whole.endswith((".", "?", "!")) else f"{whole}."
