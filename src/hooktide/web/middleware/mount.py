"""The site below a path prefix: mounted in an application, or behind a proxy.

Pages write their links from the root, as ``/static/...``. Where the public URL has a path, that
path is put before each of them here, and taken off what is asked for.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LINKS = re.compile(rb'(?<=\s)((?:href|src|action|formaction|data-(?:base|stream))=")(?=/(?!/))')
_COOKIE_PATH = re.compile(rb"(?i)(;\s*path=)/")


def mounted(site: ASGIApp, public_url: str) -> ASGIApp:
    """Return the site as it is reached at ``public_url``."""
    prefix = prefix_of(public_url)
    return Mount(site, prefix) if prefix else site


def prefix_of(public_url: str) -> str:
    """Return the path of a URL, without a slash at its end."""
    return urlsplit(public_url).path.rstrip("/")


FORWARDED_PREFIX = b"x-forwarded-prefix"
"""The header in which a proxy says which prefix it took off."""


class Mount:
    """Answers what is asked for below ``prefix``, whether a proxy took that off already or not.

    If the prefix begins like the site's own paths (``/webhooks``), the path alone is ambiguous:
    there a proxy that strips it must say so in ``X-Forwarded-Prefix``.
    """

    def __init__(self, site: ASGIApp, prefix: str) -> None:
        self._site = site
        self._prefix = prefix
        self._is_like_own = prefix.split("/")[1] in OWN_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not (self._is_like_own and self._was_taken_off(scope)):
            raw = (scope.get("raw_path") or scope["path"].encode()).decode()
            path = without(self._prefix, scope["path"])
            scope = {**scope, "path": path, "raw_path": without(self._prefix, raw).encode()}
        await self._site(scope, receive, PrefixedSend(send, self._prefix.encode()))

    def _was_taken_off(self, scope: Scope) -> bool:
        said = [value for name, value in scope["headers"] if name == FORWARDED_PREFIX]
        return any(value.rstrip(b"/") == self._prefix.encode() for value in said)


OWN_NAMES = frozenset(
    [
        "bin",
        "bins",
        "dashboard",
        "docs",
        "embed",
        "health",
        "metrics",
        "openapi.json",
        "portal",
        "problems",
        "static",
        "v1",
        "webhooks",
    ]
)
"""What the site's own paths begin with."""


def without(prefix: str, path: str) -> str:
    """Take a prefix off a path; one that does not begin with it stays what it is."""
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


class PrefixedSend:
    """``send``, with the prefix put before what leads to the site's own pages.

    A page is buffered until complete, because its length changes; streams are not pages.
    """

    def __init__(self, send: Send, prefix: bytes) -> None:
        self._send = send
        self._prefix = prefix
        self._start: Message | None = None
        self._page: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """Pass a message on, or keep it until the page is whole."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [self._header(*each) for each in message["headers"]]}
            if _kind(message).startswith(b"text/html"):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._page.append(message.get("body", b""))
        if not message.get("more_body"):
            await self._send_page(self._start, b"".join(self._page))

    async def _send_page(self, start: Message, page: bytes) -> None:
        page = _LINKS.sub(rb"\1" + self._prefix.replace(b"\\", rb"\\"), page)
        length = (b"content-length", b"%d" % len(page))
        headers = [each for each in start["headers"] if each[0] != b"content-length"]
        await self._send({**start, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": page})

    def _header(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            value = self._prefix + value
        elif name == b"set-cookie":
            value = _COOKIE_PATH.sub(rb"\1" + self._prefix.replace(b"\\", rb"\\") + b"/", value)
        return name, value


def _kind(start: Mapping[str, Any]) -> bytes:
    return next((value for name, value in start["headers"] if name == b"content-type"), b"")
