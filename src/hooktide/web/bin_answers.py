"""How what a bin keeps is shown outside its page: as JSON, or as bytes that no browser runs."""

import base64

import msgspec
from starlette.responses import Response

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import read, show
from hooktide.domain.model import BinRequest, SignatureVerdict
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant


class SignatureOut(msgspec.Struct):
    """Whether a request was signed as its receiver would want it, and why not."""

    verdict: SignatureVerdict
    reason: str


class RequestOut(msgspec.Struct):
    """What a bin was sent once. A body that is not UTF-8 comes as `body_base64` instead.

    `body` is its first 64 KB; `body_size` counts on, to 1 MB.
    """

    id: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    body_size: int
    body_truncated: bool
    answered: int
    received_at: Instant
    signature: SignatureOut


PLAIN = {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}


def not_found() -> Response:
    """Say that there is nothing here, in the same words whatever the reason."""
    return Response("not found\n", 404, PLAIN)


def request_id(text: str) -> int:
    """Read the id of a kept request.

    :raises NotFoundError: the text is no such id.
    """
    try:
        return read("req", text)
    except NotFoundError:
        raise NotFoundError("request") from None


def request_shown(kept: BinRequest) -> RequestOut:
    """Show a kept request."""
    text, encoded = _text_or_base64(kept.body)
    return RequestOut(
        id=show("req", kept.id),
        method=kept.method,
        path=kept.path,
        headers=list(kept.headers),
        body=text,
        body_base64=encoded,
        body_size=kept.body_size,
        body_truncated=kept.body_size > len(kept.body),
        answered=kept.answered,
        received_at=show_time(kept.received_at),
        signature=SignatureOut(kept.verdict, kept.reason),
    )


def _text_or_base64(body: bytes) -> tuple[str | None, str | None]:
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


def raw_response(kept: BinRequest) -> Response:
    """Give a kept body back as a file: an attachment, plain text, in a sandbox."""
    headers = {
        "content-disposition": f'attachment; filename="{show("req", kept.id)}.txt"',
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return Response(kept.body, headers=PLAIN | headers)
