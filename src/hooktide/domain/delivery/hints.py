"""The likely cause of an attempt's outcome, for the receiver's engineer, and how to fix it.

A hint is a guess and worded as one; the facts are in the attempt itself.
"""

import re
from dataclasses import dataclass

from hooktide.domain.http.head import field_value, read_fields
from hooktide.domain.model import SECOND, Attempt, Micros
from hooktide.domain.phrase import Figure, phrase

SLOW = 0.8
"""A response that takes this share of the timeout is likely to become a timeout."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A short title, and what to do in a sentence or two; both are phrases."""

    title: str
    text: str


def hint(attempt: Attempt, timeout: Micros) -> Hint | None:
    """Return a hint about an attempt, or ``None``.

    ``timeout`` is that of the account's current plan.
    """
    if attempt.status is None:
        return _of_error(attempt, timeout)
    if 200 <= attempt.status < 300:
        return _of_success(attempt, timeout)
    return _of_status(attempt)


def _of_error(attempt: Attempt, timeout: Micros) -> Hint | None:
    if attempt.error == "timeout":
        return Hint(
            phrase("No answer within {seconds} seconds", seconds=_seconds(timeout)),
            phrase("Answer 2xx as soon as you have stored the event, and do the work afterwards."),
        )
    if attempt.error == "tls_error":
        return TLS_REASONS[tls_reason(attempt.detail)]
    return hint_of_error(attempt.error)


def hint_of_error(error: str) -> Hint | None:
    """Return what to say of an error for which nothing else of the attempt matters."""
    return _ERRORS.get(error)


def tls_reason(detail: str) -> str:
    """Return which of ``TLS_REASONS`` an error's detail says."""
    if "another host name" in detail or "another address" in detail:
        return "name"
    if "chain" in detail or "issuer" in detail:
        return "chain"
    if "client certificate" in detail:
        return "client"
    if "does not speak TLS" in detail:
        return "plain"
    return "expired" if "expired" in detail else ""


TLS_REASONS = {
    "name": Hint(
        phrase("The certificate is for another name"),
        phrase(
            "The certificate must cover the host name in the URL. Check for a "
            "missing www, or a server that answers with its default certificate."
        ),
    ),
    "chain": Hint(
        phrase("The certificate's chain is incomplete"),
        phrase(
            "Serve the intermediate certificates too (fullchain.pem, not cert.pem). Browsers often "
            "fetch missing ones automatically; servers do not."
        ),
    ),
    "client": Hint(
        phrase("The server requires a client certificate"),
        phrase(
            "Exempt this path from client certificates (ssl_verify_client optional in nginx), and "
            "check the signature of each webhook instead."
        ),
    ),
    "plain": Hint(
        phrase("The port does not speak TLS"),
        phrase(
            "The URL begins with https://, and plain HTTP answers at this port. Check the port in "
            "the URL, and that the server has its certificate configured."
        ),
    ),
    "expired": Hint(
        phrase("The certificate has expired"), phrase("Renew it, and have the server load it.")
    ),
    "": Hint(
        phrase("No trusted TLS connection"),
        phrase("Use a certificate that browsers trust, and TLS 1.2 or newer."),
    ),
}
"""What to say of a TLS error, by its reason (empty: another one)."""


_ERRORS = {
    "dns_error": Hint(
        phrase("The host name was not found"),
        phrase("Check the host in the URL for a typo, and that its DNS records are public."),
    ),
    "connect_error": Hint(
        phrase("The connection was refused"),
        phrase(
            "Check that the server is running and that its firewall allows connections from the "
            "internet."
        ),
    ),
    "connection_lost": Hint(
        phrase("The connection was closed without a response"),
        phrase(
            "The server may have crashed, a proxy may have hit a limit, or the body was not read. "
            "Read the whole request, then answer."
        ),
    ),
    "invalid_response": Hint(
        phrase("The response was not valid HTTP"),
        phrase("Check that the port speaks HTTP, and check any proxy in front of it."),
    ),
    "destination_forbidden": Hint(
        phrase("This address is not public"),
        phrase(
            "The host resolves to a private or reserved network. Use one that is reachable from "
            "the internet."
        ),
    ),
}


def _of_success(attempt: Attempt, timeout: Micros) -> Hint | None:
    if attempt.duration >= SLOW * timeout:
        return Hint(
            phrase("Nearly too slow"),
            phrase(
                "The answer took {taken} of {seconds} seconds. Answer first and do the work "
                "afterwards, or it will be sent again.",
                taken=Figure(f"{attempt.duration / SECOND:.1f}"),
                seconds=_seconds(timeout),
            ),
        )
    kind = field_value(read_fields(attempt.response_head), "content-type") or ""
    if kind.lower().startswith("text/html") and _PAGE_BODY.match(attempt.response_body):
        return Hint(
            phrase("A web page answered"),
            phrase(
                "It counts as delivered, but this may be a website and not your webhook's handler. "
                "Check the URL's path."
            ),
        )
    return None


_PAGE_BODY = re.compile(rb"\s*<(?:!doctype|html)", re.IGNORECASE)


def _of_status(attempt: Attempt) -> Hint:
    status = attempt.status or 0
    if 300 <= status < 400:
        return _redirect(attempt.response_head)
    return hint_of_status(status)


def hint_of_status(status: int) -> Hint:
    """Return what to say of a status for which nothing else of the attempt matters."""
    if 300 <= status < 400:
        return _redirect(b"")
    known = _STATUSES.get(status)
    if known is not None:
        return known
    if status < 500:
        return Hint(
            phrase("The receiver refused it with {status}", status=str(status)),
            phrase("Any 2xx means delivered; everything else is tried again."),
        )
    return Hint(
        phrase("The receiver failed"),
        phrase("{status} is an error of your server: its log has the reason.", status=str(status)),
    )


def _redirect(head: bytes) -> Hint:
    where = (field_value(read_fields(head), "location") or "")[:200]
    return Hint(
        phrase("Redirects are not followed"),
        phrase("Register the URL that it redirects to, {url}", url=where)
        if where
        else phrase("Register the final URL."),
    )


def _seconds(span: Micros) -> Figure:
    return Figure(f"{span / SECOND:g}")


_AUTH = Hint(
    phrase("Signature or authentication"),
    phrase(
        "Most often the signature did not verify: use this endpoint's secret, over the raw body as "
        "received. Or the URL requires a login: add an authorization header to the endpoint."
    ),
)
_STATUSES = {
    400: Hint(
        phrase("The receiver could not read the request"),
        phrase("Its handler may expect a different body. Compare with the request shown here."),
    ),
    401: _AUTH,
    403: _AUTH,
    404: Hint(
        phrase("There is nothing at this path"),
        phrase("Check the URL's path: the server is up, but answers 404."),
    ),
    405: Hint(
        phrase("The path does not accept POST"),
        phrase("Webhooks are sent as POST. Check the route's method."),
    ),
    408: Hint(
        phrase("The receiver gave up waiting"), phrase("Something before your handler is too slow.")
    ),
    410: Hint(
        phrase("Gone"),
        phrase("410 means that the receiver no longer wants events, so the endpoint was disabled."),
    ),
    413: Hint(
        phrase("The body is too large for the receiver"),
        phrase("Raise the limit of your server or its proxy."),
    ),
    415: Hint(
        phrase("The content type was refused"), phrase("Webhooks are sent as application/json.")
    ),
    422: Hint(
        phrase("The receiver refused the content"),
        phrase(
            "If your server answers 422 to a wrong signature, check that first; otherwise compare "
            "the body shown here."
        ),
    ),
    429: Hint(
        phrase("Too many requests"),
        phrase(
            "The endpoint is paused for as long as Retry-After asks (24 hours at most); without "
            "one for a second, doubling with each further 429, up to a minute."
        ),
    ),
    502: Hint(
        phrase("The proxy did not reach your app"),
        phrase("Check that your app is running, and on the right port."),
    ),
    503: Hint(
        phrase("The receiver is unavailable"),
        phrase("It may be starting, overloaded or under maintenance."),
    ),
    508: Hint(
        phrase("The delivery came back to its sender"),
        phrase("The URL leads to the server that sends the webhooks. Use your own receiver's URL."),
    ),
    504: Hint(
        phrase("The proxy waited too long for your app"),
        phrase("Answer 2xx as soon as you have stored the event, and do the work afterwards."),
    ),
}


def curl(url: str, headers: list[tuple[str, str]], body: str) -> str:
    """Write a request as a command line for a POSIX shell."""
    lines = [f"curl -i -X POST {_quoted(url)}"]
    lines += [f"-H {_quoted(f'{name}: {value}')}" for name, value in headers]
    return " \\\n  ".join([*lines, f"--data-binary {_quoted(body)}"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
