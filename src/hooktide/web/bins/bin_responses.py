"""What a bin answers and what it kept, as bytes that no browser runs."""

from starlette.responses import Response

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import read, show
from hooktide.domain.model import BinRequest

PLAIN = {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}


def not_found() -> Response:
    """Answer that there is nothing here, in the same words for every reason."""
    return Response("not found\n", 404, PLAIN)


def request_id(text: str) -> int:
    """Read the id of a kept request.

    :raises NotFoundError: the text is not such an id.
    """
    try:
        return read("req", text)
    except NotFoundError:
        raise NotFoundError("request") from None


def raw_headers(kept: BinRequest) -> dict[str, str]:
    """Return the headers that make a kept body a file: plain text, in a sandbox."""
    return PLAIN | {
        "content-disposition": f'attachment; filename="{show("req", kept.id)}.txt"',
        "content-security-policy": "sandbox; default-src 'none'",
    }


def raw_response(kept: BinRequest) -> Response:
    """Give a kept body back as a file."""
    return Response(kept.body, headers=raw_headers(kept))
