"""Converts between rows and domain objects."""

from typing import Any, TypeAlias

import msgspec

from hooktide.domain.delivery.rest import Rest
from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, Requeued, RetryAt, Verdict
from hooktide.domain.model import (
    ActiveSecret,
    Attempt,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointKind,
    Event,
    Micros,
    Origin,
    Secret,
)
from hooktide.domain.project.project import Project
from hooktide.runtime.vault import Vault
from hooktide.store.base import AttemptRecord, EventRow

Row: TypeAlias = tuple[Any, ...]

read_project_json = msgspec.json.Decoder(Project).decode
read_patterns = msgspec.json.Decoder(tuple[str, ...]).decode
read_routes = msgspec.json.Decoder(list[tuple[int, tuple[str, ...], str, tuple[str, ...]]]).decode
read_labels = msgspec.json.Decoder(tuple[str, ...]).decode
_read_metadata = msgspec.json.Decoder(dict[str, str]).decode
read_delays = msgspec.json.Decoder(tuple[int, ...]).decode
read_headers = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
to_json = msgspec.json.encode


def json_text(value: Any) -> str:
    """Write a value as JSON text, as statements take it."""
    return to_json(value).decode()


def endpoint(row: Row, secrets: tuple[ActiveSecret, ...], vault: Vault) -> Endpoint:
    """Read an endpoint's columns and join its secrets."""
    return Endpoint(
        id=row[0],
        project_id=row[1],
        account_id=row[2],
        url=row[3],
        event_types=read_patterns(row[4]),
        name=row[5],
        description=row[6],
        headers=read_headers(vault.open(row[7], headers_row(row[0]))),
        disabled_reason=row[8],
        disabled_at=row[9],
        consecutive_failures=row[10],
        created_at=row[11],
        updated_at=row[12],
        kind=EndpointKind(row[13]),
        secret_url="" if row[14] is None else vault.open(row[14], url_row(row[0])).decode(),
        rests_until=row[15],
        rest_reason=row[16],
        filter=row[17],
        filtered_at=row[18],
        channels=read_labels(row[19]),
        channels_at=row[20],
        reference=row[21],
        metadata=read_metadata(row[22]),
        rate_limit=row[23],
        burst=row[24],
        retry_delays=None if row[25] is None else read_delays(row[25]),
        timeout=row[26],
        secrets=secrets,
    )


def read_metadata(text: str) -> tuple[tuple[str, str], ...]:
    """Read a column of metadata; empty: there is none."""
    return tuple(_read_metadata(text).items()) if text else ()


def metadata_text(metadata: tuple[tuple[str, str], ...]) -> str:
    """Return metadata as its column holds it."""
    return json_text(dict(metadata)) if metadata else ""


def rest_values(endpoint_id: int, rest: Rest) -> dict[str, Any]:
    """Return an endpoint's rest for ``set_rest``."""
    return {
        "id": endpoint_id,
        "until": rest.until,
        "reason": rest.reason,
        "began_at": rest.began_at,
        "span": rest.span,
        "lifted_at": rest.lifted_at,
    }


def headers_row(endpoint_id: int) -> str:
    """Return the sealing context of an endpoint's own headers."""
    return f"endpoints.headers:{endpoint_id}"


def url_row(endpoint_id: int) -> str:
    """Return the sealing context of an endpoint's secret URL."""
    return f"endpoints.sealed_url:{endpoint_id}"


def secret_row(endpoint_id: int, created_at: Micros) -> str:
    """Return the sealing context of a signing secret."""
    return f"secrets.sealed:{endpoint_id}:{created_at}"


def seal_headers(endpoint_id: int, headers: tuple[tuple[str, str], ...], vault: Vault) -> bytes:
    """Seal an endpoint's own headers: they may hold the customer's credentials."""
    return vault.seal(to_json(headers), headers_row(endpoint_id))


def endpoint_values(endpoint: Endpoint, vault: Vault) -> dict[str, Any]:
    """Return an endpoint's mutable columns."""
    secret_url = endpoint.secret_url
    return {
        "url": endpoint.url,
        "event_types": json_text(endpoint.event_types),
        "name": endpoint.name,
        "description": endpoint.description,
        "headers": seal_headers(endpoint.id, endpoint.headers, vault),
        "filter": endpoint.filter,
        "filtered_at": endpoint.filtered_at,
        "channels": json_text(endpoint.channels),
        "channels_at": endpoint.channels_at,
        "reference": endpoint.reference,
        "metadata": metadata_text(endpoint.metadata),
        "rate_limit": endpoint.rate_limit,
        "burst": endpoint.burst,
        "retry_delays": None if endpoint.retry_delays is None else json_text(endpoint.retry_delays),
        "timeout": endpoint.timeout,
        "kind": endpoint.kind.value,
        "sealed_url": vault.seal(secret_url.encode(), url_row(endpoint.id)) if secret_url else None,
    }


def seal_secret(endpoint_id: int, secret: Secret, created_at: Micros, vault: Vault) -> bytes:
    """Seal both forms of a secret."""
    return vault.seal(to_json((secret.text, secret.key)), secret_row(endpoint_id, created_at))


def active_secret(endpoint_id: int, row: Row, vault: Vault) -> ActiveSecret:
    """Read ``sealed, created_at, retires_at``."""
    opened = vault.open(row[0], secret_row(endpoint_id, row[1]))
    text, key = msgspec.json.decode(opened, type=tuple[str, bytes])
    return ActiveSecret(secret=Secret(text, key), created_at=row[1], retires_at=row[2])


def event_columns(event: Event, project_id: int, deliveries: int) -> Row:
    """Return an event's columns in the order of ``add_events``."""
    return (
        event.id,
        project_id,
        event.account_id,
        event.type,
        event.transition,
        event.test,
        event.occurred_at,
        deliveries,
        event.payload,
        json_text(event.channels) if event.channels else "",
        json_text(event.tags) if event.tags else "",
    )


def event_row(row: Row) -> EventRow:
    """Read an event's columns."""
    return EventRow(
        project_id=row[1],
        deliveries=row[7],
        event=Event(
            id=row[0],
            account_id=row[2],
            type=row[3],
            transition=row[4],
            test=bool(row[5]),
            occurred_at=row[6],
            payload=row[8],
            channels=read_labels(row[9]) if row[9] else (),
            tags=read_labels(row[10]) if row[10] else (),
            erased_at=row[11],
        ),
    )


def claim(item: Row, token: int, lease_ends_at: Micros) -> Claim:
    """Read one row of ``claimable``: a delivery, its event, the payload last."""
    delivery_id, endpoint_id, attempts, origin, due_at, event_id, account_id, *rest = item
    kind, transition, test, occurred_at, payload = rest
    event = Event(
        id=event_id,
        account_id=account_id,
        type=kind,
        transition=transition,
        test=bool(test),
        occurred_at=occurred_at,
        payload=payload,
    )
    return Claim(
        delivery_id=delivery_id,
        endpoint_id=endpoint_id,
        event=event,
        attempt=attempts + 1,
        token=token,
        due_at=due_at,
        lease_ends_at=lease_ends_at,
        origin=Origin(origin),
    )


def delivery(row: Row) -> Delivery:
    """Read a delivery's columns and its event's type."""
    return Delivery(
        id=row[0],
        project_id=row[1],
        account_id=row[2],
        event_id=row[3],
        endpoint_id=row[4],
        event_type=row[5],
        origin=Origin(row[6]),
        state=DeliveryState(row[7]),
        attempts=row[8],
        due_at=row[9],
        ended_at=row[10],
        reason=row[11],
        sending=bool(row[12]),
    )


def attempt(delivery_id: int, row: Row) -> Attempt:
    """Read an attempt's columns."""
    return Attempt(
        delivery_id=delivery_id,
        number=row[0],
        started_at=row[1],
        duration=row[2],
        status=row[3],
        error=row[4],
        detail=row[5],
        request_head=row[6],
        response_head=row[7],
        response_body=row[8],
        response_truncated=bool(row[9]),
    )


def attempt_columns(made: Attempt) -> Row:
    """Return an attempt's columns in the order of ``add_attempts``, after those of its key."""
    return (
        made.started_at,
        made.duration,
        made.status,
        made.error,
        made.detail,
        made.request_head,
        made.response_head,
        made.response_body,
        made.response_truncated,
    )


GONE_FOR_GOOD = "gone"
"""Prefix of the reason of a delivery that disabled its endpoint, except for a plain 410."""


def settle_columns(record: AttemptRecord, stale_reason: str) -> Row:
    """Return the delivery's new columns after a verdict, in the order of ``settle``.

    ``stale_reason`` (empty: none) is why the endpoint gets nothing more: then a delivery that would
    be retried is discarded instead.
    """
    held, made = record.claim, record.attempt
    state, attempts, due_at, reason = _destination(record.verdict, made, held.attempt)
    if stale_reason and state == "pending":
        state, due_at, reason = "discarded", None, stale_reason
    ended_at = made.ended_at if due_at is None else None
    return held.delivery_id, held.token, state, attempts, due_at, ended_at, reason


def _destination(
    verdict: Verdict, made: Attempt, number: int
) -> tuple[str, int, Micros | None, str]:
    match verdict:
        case Delivered():
            return "delivered", number, None, ""
        case RetryAt(due_at=due_at):
            return "pending", number, due_at, ""
        case Requeued(due_at=due_at):
            return "pending", number - 1, due_at, ""
        case Gone(reason=reason) if reason:
            return "failed", number, None, f"{GONE_FOR_GOOD}: {reason}"
        case Failed() | Gone():
            return "failed", number, None, made.error or f"status {made.status}"
