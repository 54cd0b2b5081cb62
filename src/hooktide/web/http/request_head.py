"""A request's head, and checks of it that the parser leaves out."""

import re
from copy import copy
from typing import Any
from urllib.parse import unquote

import httptools

from hooktide.domain.errors import InvalidError
from hooktide.web.problems.problems import Headers

MAX_HEAD_BYTES = 64 * 1024


class HeadRefusedError(Exception):
    """A request's head is refused; raised in the parser's callback."""

    def __init__(self, problem: InvalidError) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class RequestHead:
    """A request's head. Requests with the same bytes share one, so nobody changes it.

    ``note`` is what a handler (``web.http.exchange.Handler``) has read in it, or None.

    :raises ValueError: the target is not a URL.
    """

    __slots__ = (
        "expects_continue",
        "headers",
        "keep_alive",
        "method",
        "note",
        "path",
        "query",
        "raw_path",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        version: str,
        headers: Headers,
        *,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            raise ValueError(target) from None
        if url.path is None and method == "CONNECT":
            raise ValueError(target)
        self.method = method
        self.raw_path: bytes = url.path or b"/"  # of "http://host" (RFC 9110, 4.2.3)
        path = self.raw_path.decode("ascii")
        self.path = unquote(path) if "%" in path else path
        self.query: bytes = url.query or b""
        self.version = version
        self.headers = headers
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.note: Any = None

    @property
    def is_repeatable(self) -> bool:
        """Whether only the digits of the Content-Length tell where a request with this head ends,
        and another one may follow."""
        names = [name for name, _ in self.headers]
        framed = names.count(b"content-length") == 1 and _UNUSUAL.isdisjoint(names)
        return framed and self.keep_alive and self.method != "CONNECT"

    def with_length(self, digits: bytes) -> "RequestHead":
        """Return this head with another Content-Length."""
        other = copy(self)
        other.headers = [
            (name, digits if name == b"content-length" else value) for name, value in self.headers
        ]
        other.note = None
        return other


_UNUSUAL = frozenset((b"expect", b"transfer-encoding", b"upgrade"))
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")
_OTHER_CODING = re.compile(rb",.*,[ \t]*chunked[ \t]*", re.IGNORECASE)
"""Others before chunked; where chunked is not the last, the parser refuses (RFC 9112, 6.3)."""


def check_head(version: str, headers: Headers) -> bool:
    """Check version, Host and transfer coding; return whether the client expects a 100 response.

    Of two Host headers, a proxy in front of the server might use the other one (RFC 9112, 3.2). A
    body in a coding that is not decoded would be read as another one (RFC 9112, 6.1).

    :raises HeadRefusedError: the version or the coding is another, or there is not exactly one
        valid Host.
    """
    if version not in ("1.1", "1.0"):
        detail = f"this server speaks HTTP/1.1, not HTTP/{version}"
        raise HeadRefusedError(InvalidError("http_version", detail, status=505))
    hosts, expects_continue, codings = 0, False, b""
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                raise HeadRefusedError(bad_request("the Host header is not a host"))
        elif name == b"expect" and value.lower() == b"100-continue":
            expects_continue = version == "1.1"
        elif name == b"transfer-encoding":
            codings += b"," + value
    if codings and _OTHER_CODING.fullmatch(codings):
        detail = "of transfer codings, this server reads chunked only"
        raise HeadRefusedError(InvalidError("transfer_coding", detail, status=501))
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        number = "two" if hosts else "no"
        raise HeadRefusedError(bad_request(f"send one Host header; there are {number}"))
    return expects_continue


def bad_request(detail: str) -> InvalidError:
    """Return why a request is refused that is not HTTP."""
    return InvalidError("bad_request", detail, status=400)


def head_too_large() -> InvalidError:
    """Return why a request is refused whose head is too large."""
    detail = f"{MAX_HEAD_BYTES} bytes of headers and URL at most"
    return InvalidError("head_too_large", detail, status=431)


def trailers_too_large() -> InvalidError:
    """Return why a request is refused whose trailers or chunk extensions are too large."""
    detail = f"{MAX_HEAD_BYTES} bytes of trailers, or of chunk extensions, at most"
    return InvalidError("head_too_large", detail, status=431)
