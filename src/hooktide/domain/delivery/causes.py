"""Why attempts fail, in few enough words to group them by.

A cause is kept as a short name: a status (``401``), or one of ``NAMES``. What it is called and what
helps against it is said here, so it may be said better later.
"""

from dataclasses import dataclass

from hooktide.domain.delivery.hints import (
    TLS_REASONS,
    Hint,
    hint_of_error,
    hint_of_status,
    tls_reason,
)
from hooktide.domain.phrase import phrase

NOT_KNOWN = "unknown"
_OF_ERROR = {
    "timeout": "timeout",
    "dns_error": "dns",
    "connection_lost": "connection_lost",
    "invalid_response": "invalid_response",
    "destination_forbidden": "blocked",
}
_TITLES = {
    "timeout": phrase("Timeout"),
    "dns": phrase("DNS: name not found"),
    "refused": phrase("Connection refused"),
    "unreachable": phrase("Unreachable"),
    "connection_lost": phrase("Connection lost"),
    "invalid_response": phrase("Invalid response"),
    "blocked": phrase("Blocked address"),
    "tls_expired": phrase("TLS: expired certificate"),
    "tls_name": phrase("TLS: certificate for another name"),
    "tls_chain": phrase("TLS: incomplete certificate chain"),
    "tls_client": phrase("TLS: client certificate requested"),
    "tls_plain": phrase("TLS: the port does not speak it"),
    "tls": phrase("TLS error"),
    NOT_KNOWN: phrase("Cause not recorded"),
}
NAMES = tuple(_TITLES)
_ERRORS = {name: error for error, name in _OF_ERROR.items()} | {
    "refused": "connect_error",
    "unreachable": "connect_error",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause as people read it: what happened, and what to do about it."""

    name: str
    title: str
    remedy: str


def cause_of(status: int | None, error: str, detail: str) -> str:
    """Return the cause of a failed attempt."""
    if status is not None:
        return str(status)
    if error == "tls_error":
        return f"tls_{reason}" if (reason := tls_reason(detail)) else "tls"
    if error == "connect_error":
        return "refused" if "refused" in detail else "unreachable"
    return _OF_ERROR.get(error, NOT_KNOWN)


def cause(name: str) -> Cause:
    """Return what a cause is called, and what to do; ``name`` may be of a later release."""
    if name.isdigit():
        found = hint_of_status(int(name))
        return Cause(name, f"{name} {_PHRASES.get(name, '')}".strip(), found.text)
    return Cause(name, _TITLES.get(name, name), _remedy(name))


_PHRASES = {
    "301": "Moved Permanently",
    "302": "Found",
    "307": "Temporary Redirect",
    "308": "Permanent Redirect",
    "400": "Bad Request",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "Not Found",
    "405": "Method Not Allowed",
    "408": "Request Timeout",
    "409": "Conflict",
    "410": "Gone",
    "413": "Content Too Large",
    "415": "Unsupported Media Type",
    "422": "Unprocessable Content",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
    "504": "Gateway Timeout",
    "508": "Loop Detected",
}


def _remedy(name: str) -> str:
    found: Hint | None
    if name == "tls" or name.startswith("tls_"):
        found = TLS_REASONS.get(name.removeprefix("tls").removeprefix("_"))
    elif name == "timeout":
        return phrase("Answer 2xx as soon as the event is kept, and do the work afterwards.")
    else:
        found = hint_of_error(_ERRORS.get(name, ""))
    return found.text if found else ""
