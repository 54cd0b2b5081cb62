"""Raw HTTP heads and bodies of the log, as the API shows them."""

import base64
from typing import Annotated, TypeAlias

import msgspec

HeaderPairs: TypeAlias = list[
    Annotated[
        list[str], msgspec.Meta(min_length=2, max_length=2, description="A name and its value.")
    ]
]


def header_pairs(head: bytes) -> HeaderPairs:
    """Read the headers of a raw head, in order; what is no header line is left out."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    split = (line.partition(":") for line in lines)
    return [[name.strip().lower(), value.strip()] for name, colon, value in split if colon]


def header(pairs: HeaderPairs, wanted: str) -> str | None:
    """Return the first value of a header, by its name in lower case."""
    return next((value for name, value in pairs if name == wanted), None)


def body_text(body: bytes) -> tuple[str, str]:
    """Return a body as text and ``utf-8``; one that is no UTF-8 in base64 and ``base64``."""
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
