"""Stored bodies as text, including truncated ones."""

import base64
import codecs
from typing import Literal

_decoder = codecs.getincrementaldecoder("utf-8")


def body_text(body: bytes, *, truncated: bool, errors: str = "strict") -> str:
    """Return a body as text.

    If it was ``truncated``, an incomplete last character is dropped. ``errors`` is what
    ``bytes.decode`` takes.

    :raises UnicodeDecodeError: it is not UTF-8, and ``errors`` is ``strict``.
    """
    return _decoder(errors).decode(body, final=not truncated)


def text_or_base64(body: bytes, *, truncated: bool) -> tuple[str, Literal["utf-8", "base64"]]:
    """Return a body as text with ``utf-8``, or, if it is not UTF-8, in base64 with ``base64``."""
    try:
        return body_text(body, truncated=truncated), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
