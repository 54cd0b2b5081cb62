"""Reasons that the database keeps in English, as phrases that a page can say in its language."""

from hooktide.domain.phrase import phrase, read_back

ENDPOINT_REASONS = (
    "disabled by hand",
    "disabled by the provider",
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
    "stopped by hand",
    "cancelled by hand",
    "the event is past retention",
)
"""Why a delivery or a replay ended."""
_OF_ENDPOINT = "endpoint disabled: "


def reason_words(text: str) -> str:
    """Return a stored reason as a phrase; one of another release stays as it is."""
    if text.startswith(_OF_ENDPOINT):
        reason = reason_words(text.removeprefix(_OF_ENDPOINT))
        return phrase("endpoint disabled: {reason}", reason=reason)
    return read_back(text, *ENDPOINT_REASONS, *REST_REASONS, *OTHER_REASONS)
