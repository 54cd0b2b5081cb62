"""Reasons that the database keeps in English, as phrases that a page can say in its language."""

from hooktide.domain.model import (
    BY_HAND,
    BY_PROVIDER,
    CANCELLED_BY_HAND,
    PAYLOAD_ERASED,
    STOPPED_BY_HAND,
)
from hooktide.domain.phrase import Phrase, phrase, read_back

ENDPOINT_REASONS = (
    BY_HAND,
    BY_PROVIDER,
    "the receiver answered 410 Gone",
    "{count} delivery failed in a row",
    "{count} deliveries failed in a row",
)
"""Why an endpoint is disabled."""
REST_REASONS = (
    "the receiver answered {count} with Retry-After",
    "the receiver answered {count}",
)
"""Why an endpoint rests."""
OTHER_REASONS = (
    "endpoint deleted",
    STOPPED_BY_HAND,
    CANCELLED_BY_HAND,
    PAYLOAD_ERASED,
    "the event is past retention",
)
"""Why a delivery or a replay ended."""
DETAILS = (
    "TLS failed: no common parameters",
    "no DNS server answered in time",
    "no DNS server answered within {count} s",
    "no DNS server can be reached",
    "the certificate has expired",
    "the certificate is for another address",
    "the certificate is for another host name",
    "the certificate is not valid yet",
    "the certificate is self-signed",
    "the certificate's chain ends in a root that is not trusted",
    "the certificate's issuer is not known; the chain may be incomplete",
    "the connection was lost immediately",
    "the destination is not allowed",
    "the egress proxy answered {count}",
    "the egress proxy cannot be reached",
    "the egress proxy closed the connection",
    "the egress proxy could not open the tunnel",
    "the egress proxy did not respond like a proxy",
    "the egress proxy requires credentials, which are not supported",
    "the handshake did not finish in time",
    "the head of the response is too large",
    "the name does not exist",
    "the name has no address",
    "the name's DNS servers fail (SERVFAIL)",
    "the receiver closed the connection before the handshake",
    "the receiver closed the connection during the handshake",
    "the receiver closed the connection without a response",
    "the receiver did not accept the connection",
    "the receiver did not respond in time",
    "the receiver does not speak TLS on this port",
    "the receiver requires a client certificate, which is not sent",
    "the receiver sent data before the request",
    "the receiver switched protocols without a request to do so",
    "the response does not begin with an HTTP status line",
    "the sender was stopped",
    "too many DNS lookups are in progress",
    "{count} is not an HTTP status",
    # What operating systems call it.
    "cannot assign requested address",
    "connection refused",
    "connection reset by peer",
    "connection timed out",
    "host is down",
    "network is down",
    "network is unreachable",
    "no connection",
    "no route to host",
    "permission denied",
    "too many open files",
)
"""What happened to an attempt that got no response."""
DETAILS_WITH_REASON = (
    "DNS lookup failed: {reason}",
    "TLS failed: {reason}",
    "could not connect: {reason}",
    "the certificate is not trusted: {reason}",
    "the receiver ended TLS: {reason}",
    "the response is not valid HTTP: {reason}",
    "this server: {reason}",
)
"""Likewise, with a reason that comes from elsewhere."""
_OF_ENDPOINT = "endpoint disabled: "


def reason_words(text: str) -> str:
    """Return a stored reason as a phrase; one of another release stays as it is."""
    if text.startswith(_OF_ENDPOINT):
        reason = reason_words(text.removeprefix(_OF_ENDPOINT))
        return phrase("endpoint disabled: {reason}", reason=reason)
    return read_back(text, *ENDPOINT_REASONS, *REST_REASONS, *OTHER_REASONS)


def detail_words(text: str) -> str:
    """Return what happened to an attempt as a phrase; what is not known stays as it is."""
    found = read_back(text, *DETAILS)
    if isinstance(found, Phrase):
        return found
    for message in DETAILS_WITH_REASON:
        start = message.removesuffix("{reason}")
        if text.startswith(start):
            return phrase(message, reason=detail_words(text.removeprefix(start)))
    return text
