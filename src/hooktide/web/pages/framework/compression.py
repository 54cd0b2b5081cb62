"""Pages and static files in gzip, where the browser takes it.

A page that shows a secret is sent as it is. The others get a random number of bytes in front, so
that their size says little about them.
"""

import asyncio
import gzip
import secrets
import zlib
from collections.abc import Mapping
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

MIN_SIZE = 1024
IN_THREAD = 64 * 1024
"""Bytes from which on a page is compressed off the event loop."""
LEVEL = 5
MAX_NOISE = 100
_TYPES = ("text/", "application/json", "application/toml")


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether a browser takes gzip (RFC 9110, 12.5.3)."""
    for each in headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = each.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def compressed(response: Response, request: Request) -> Response:
    """Compress a whole response if that is worth it."""
    body = getattr(response, "body", None)
    kind = response.headers.get("content-type", "")
    if not isinstance(body, bytes) or not kind.startswith(_TYPES):
        return response
    response.headers.add_vary_header("accept-encoding")
    if len(body) < MIN_SIZE or not takes_gzip(request.headers):
        return response
    if len(body) < IN_THREAD:
        response.body = _with_noise(body)
    else:
        response.body = await asyncio.to_thread(_with_noise, body)
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(response.body))
    return response


@lru_cache(maxsize=64)
def compressed_file(content: bytes) -> bytes:
    """Compress what is the same for everybody, once."""
    return gzip.compress(content, 9, mtime=0)


def _with_noise(body: bytes) -> bytes:
    """Compress, with a file name of random length in the head (RFC 1952, 2.3)."""
    name = b"a" * secrets.randbelow(MAX_NOISE)
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = squeeze.compress(body) + squeeze.flush()
    head = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + name + b"\0"
    tail = zlib.crc32(body).to_bytes(4, "little") + (len(body) & 0xFFFFFFFF).to_bytes(4, "little")
    return head + data + tail
