"""What the test of an endpoint answers: everything that went out and came back."""

import msgspec

from hooktide.actions.endpoints import Tested
from hooktide.domain.ids import show
from hooktide.web.api.heads import HeaderPairs, body_text, header, header_pairs


class TestIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which event to test with; absent: the first one that the endpoint wants."""

    event_type: str | None = None


class TestOut(msgspec.Struct, kw_only=True):
    """A test that was made. `signature` is the provider's own, `webhook_signature` the standard's.

    `status` is `delivered` for a 2xx; `error` is the error class where there was no valid answer.
    """

    status: str
    event: str
    event_type: str
    delivery: str
    response_status: int | None
    duration_ms: float
    error: str
    detail: str
    request_headers: HeaderPairs
    signature: str | None
    webhook_signature: str | None
    response_headers: HeaderPairs
    response_body: str
    response_body_encoding: str


def test_shown(tested: Tested) -> TestOut:
    """Show a test."""
    attempt, claim = tested.attempt, tested.claim
    sent = header_pairs(attempt.request_head)
    own = tested.project.dialect.signature
    body, encoding = body_text(attempt.response_body)
    delivered = attempt.status is not None and 200 <= attempt.status < 300
    return TestOut(
        status="delivered" if delivered else "failed",
        event=show("evt", claim.event.id),
        event_type=claim.event.type,
        delivery=show("dlv", claim.delivery_id),
        response_status=attempt.status,
        duration_ms=attempt.duration / 1000,
        error=attempt.error,
        detail=attempt.detail,
        request_headers=sent,
        signature=header(sent, own.header.lower()) if own else None,
        webhook_signature=header(sent, "webhook-signature"),
        response_headers=header_pairs(attempt.response_head),
        response_body=body,
        response_body_encoding=encoding,
    )
