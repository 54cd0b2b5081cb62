"""A form as a browser sends it: text by name, line breaks as they are everywhere else."""

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

from starlette.requests import Request

from hooktide.domain.errors import InvalidError
from hooktide.web.reading import read_body

KIND = "application/x-www-form-urlencoded"
MOST_FIELDS = 1000


class Form:
    """What was filled in: the first value of a name, or all of them."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = [(name, text.replace("\r\n", "\n")) for name, text in pairs]

    def __contains__(self, name: str) -> bool:
        return any(name == each for each, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def text(self, name: str, default: str = "") -> str:
        """Return what was filled in, without the spaces around it."""
        return self.raw(name, default).strip()

    def raw(self, name: str, default: str = "") -> str:
        """Return what was filled in, as it is."""
        return next((text for each, text in self._pairs if each == name), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Return all that was chosen under a name."""
        return tuple(text for each, text in self._pairs if each == name and text)


async def read_form(request: Request) -> Form:
    """Read the form that a request brings.

    :raises InvalidError: it is none, or too large.
    """
    return Form(parse(await read_body(request, KIND)))


def read_fields(request: Request) -> Form:
    """Read what stands behind a URL's question mark.

    :raises InvalidError: it is not UTF-8, or too much.
    """
    return Form(parse(request.scope["query_string"]))


def parse(content: bytes) -> list[tuple[str, str]]:
    """Read pairs as a browser writes them.

    :raises InvalidError: they are not UTF-8, or too many.
    """
    try:
        return parse_qsl(
            content.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise InvalidError("invalid_body", "this is not what the page's form sends") from None
