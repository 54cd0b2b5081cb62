"""Checks of a request's head that the parser leaves out."""

import re

from hooktide.domain.errors import InvalidError
from hooktide.web.problems.problems import Headers

MAX_HEAD_BYTES = 64 * 1024


class HeadRefusedError(Exception):
    """A request's head is refused; raised in the parser's callback."""

    def __init__(self, problem: InvalidError) -> None:
        super().__init__(problem.detail)
        self.problem = problem


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
