"""What a page's form sends, and what was wrong with it, beside the field it is about."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request

from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.web.reading import read_body

KIND = "application/x-www-form-urlencoded"
MOST_FIELDS = 500


class Form:
    """The fields of a form as they were typed, without spaces at their ends."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, text in pairs:
            typed = text.replace("\r\n", "\n").strip()
            self._fields.setdefault(name, []).append(typed)

    def text(self, name: str) -> str:
        """Return a field's text; empty where it was not sent."""
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return every text of a field, as of checkboxes that are checked."""
        return tuple(text for text in self._fields.get(name, ()) if text)


async def read_form(request: Request) -> Form:
    """Read a form's fields.

    :raises InvalidError: it is no form, or too large.
    """
    body = await read_body(request, KIND)
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidError("bad_request", "this is no form of ours", status=400) from None
    return Form(pairs)


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
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
