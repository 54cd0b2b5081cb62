"""Forms as browsers send them, and what was wrong with one, beside the field it is about."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from hooktide.domain.errors import InvalidError, RefusedError
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
        raise InvalidError("bad_request", "this is no form of ours", status=400) from None


def faults_of(error: InvalidError | RefusedError) -> Mapping[str, str]:
    """Return what is wrong in sentences, by the name of the field; ``""``: about no field."""
    if isinstance(error, RefusedError):
        return {"": sentence(error.detail)}
    found: dict[str, str] = {}
    for fault in error.faults:
        name = fault.pointer.strip("/").partition("/")[0]
        found[name] = " ".join(filter(None, (found.get(name), sentence(fault.detail))))
    return found


def sentence(text: str) -> str:
    """Write a problem's detail as a sentence."""
    whole = text[:1].upper() + text[1:]
    return whole if not whole or whole.endswith((".", "?", "!")) else f"{whole}."
