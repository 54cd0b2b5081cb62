"""What an attempt's outcome most likely means for the receiver's engineer, and what to do.

A hint is a guess, worded as one where it is; what is known is in the attempt itself.
"""

import re
from dataclasses import dataclass

from hooktide.domain.http.head import field_value, read_fields
from hooktide.domain.model import SECOND, Attempt, Micros

SLOW = 0.8
"""An answer that took this share of the timeout is a timeout soon."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A short title, and what to do in a sentence or two."""

    title: str
    text: str


def hint(attempt: Attempt, timeout: Micros) -> Hint | None:
    """Return what to say of an attempt whose plan's timeout is this; None: nothing.

    ``timeout`` is that of the account's plan now.
    """
    if attempt.status is None:
        return _of_error(attempt, timeout)
    if 200 <= attempt.status < 300:
        return _of_success(attempt, timeout)
    return _of_status(attempt)


def _of_error(attempt: Attempt, timeout: Micros) -> Hint | None:
    if attempt.error == "timeout":
        return Hint(
            f"No answer within {timeout / SECOND:g} seconds",
            "Answer 2xx as soon as the event is kept, and do the work afterwards.",
        )
    if attempt.error == "tls_error":
        return _of_tls(attempt.detail)
    return _ERRORS.get(attempt.error)


def _of_tls(detail: str) -> Hint:
    if "another host name" in detail or "another address" in detail:
        return Hint(
            "The certificate is for another name",
            "The certificate must cover the host name in the URL. Check for a "
            "missing www, or a server that answers with its default certificate.",
        )
    if "chain" in detail or "issuer" in detail:
        return Hint(
            "The certificate's chain is incomplete",
            "Serve the intermediate certificates too (fullchain.pem, not cert.pem). Browsers often "
            "fetch missing ones automatically; servers do not.",
        )
    if "client certificate" in detail:
        return Hint(
            "It asks for a client certificate",
            "Let this path through without one (ssl_verify_client optional in nginx), and check "
            "the signature of each webhook instead.",
        )
    if "expired" in detail:
        return Hint("The certificate has expired", "Renew it, and have the server load it.")
    return Hint(
        "No trusted TLS connection",
        "Use a certificate that browsers trust, and TLS 1.2 or newer.",
    )


_ERRORS = {
    "dns_error": Hint(
        "The name was not found",
        "Check the host in the URL for a typo, and that its DNS records are public.",
    ),
    "connect_error": Hint(
        "Nothing took the connection",
        "Check that the server is running, and that its firewall lets the public internet in.",
    ),
    "connection_lost": Hint(
        "The connection was closed without an answer",
        "Often a crash, or a proxy's limit; or the body was not read. Read the whole request, then "
        "answer.",
    ),
    "invalid_response": Hint(
        "The answer was not valid HTTP",
        "Check that the port speaks HTTP, and what stands between it and the internet.",
    ),
    "destination_forbidden": Hint(
        "This address is not public",
        "The host leads to a private or reserved network. Use one that is reachable from the "
        "internet.",
    ),
}


def _of_success(attempt: Attempt, timeout: Micros) -> Hint | None:
    if attempt.duration >= SLOW * timeout:
        return Hint(
            "Nearly too slow",
            f"The answer took {attempt.duration / SECOND:.1f} of {timeout / SECOND:g} seconds. "
            "Answer first and do the work afterwards, or it will be sent again.",
        )
    kind = field_value(read_fields(attempt.response_head), "content-type") or ""
    if kind.lower().startswith("text/html") and _PAGE_BODY.match(attempt.response_body):
        return Hint(
            "A web page answered",
            "It counts as delivered, but this may be a website and not your webhook's handler. "
            "Check the URL's path.",
        )
    return None


_PAGE_BODY = re.compile(rb"\s*<(?:!doctype|html)", re.IGNORECASE)


def _of_status(attempt: Attempt) -> Hint:
    status = attempt.status or 0
    if 300 <= status < 400:
        return _redirect(attempt.response_head)
    known = _STATUSES.get(status)
    if known is not None:
        return known
    if status < 500:
        return Hint(
            f"The receiver refused it with {status}",
            "Any 2xx means delivered; everything else is tried again.",
        )
    return Hint(
        "The receiver failed", f"{status} is an error of your server: its log has the reason."
    )


def _redirect(head: bytes) -> Hint:
    where = (field_value(read_fields(head), "location") or "")[:200]
    return Hint(
        "Redirects are not followed",
        f"Register the URL that it leads to, {where}" if where else "Register the final URL.",
    )


_AUTH = Hint(
    "Signature or authentication",
    "Most often the signature did not verify: use this endpoint's secret, over the raw body as "
    "it came. Or the URL wants a login: add a header of your own to the endpoint.",
)
_STATUSES = {
    400: Hint(
        "The receiver could not read it",
        "Its handler may expect another body. Compare with the request shown here.",
    ),
    401: _AUTH,
    403: _AUTH,
    404: Hint(
        "There is nothing at this path", "Check the URL's path: the server answers, but 404."
    ),
    405: Hint("The path takes no POST", "Webhooks are sent as POST. Check the route's method."),
    408: Hint("The receiver gave up waiting", "Something before your handler is too slow."),
    410: Hint(
        "Gone",
        "410 means that the receiver wants no more events, so the endpoint was disabled.",
    ),
    413: Hint("The body is too large for it", "Raise the limit of your server or its proxy."),
    415: Hint("The content type is refused", "Webhooks come as application/json."),
    422: Hint(
        "The receiver refused the content",
        "If it checks signatures with 422, see that first; else compare the body shown here.",
    ),
    429: Hint(
        "Too many requests",
        "The endpoint rests for as long as Retry-After asks (24 hours at most); without one for a "
        "second, and twice as long each time it is answered 429 again, up to a minute.",
    ),
    502: Hint("The proxy did not reach your app", "Is it running, and on the port it should?"),
    503: Hint("The receiver is not available", "It may be starting, overloaded or under repair."),
    508: Hint(
        "It came back to its sender",
        "The URL leads to the server that sends the webhooks. Use your own receiver's.",
    ),
    504: Hint(
        "The proxy waited too long for your app",
        "Answer 2xx as soon as the event is kept, and do the work afterwards.",
    ),
}


def curl(url: str, headers: list[tuple[str, str]], body: str) -> str:
    """Write a request as a command line for a POSIX shell."""
    lines = [f"curl -i -X POST {_quoted(url)}"]
    lines += [f"-H {_quoted(f'{name}: {value}')}" for name, value in headers]
    return " \\\n  ".join([*lines, f"--data-binary {_quoted(body)}"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
