"""Operational events: what the server did automatically, for the operator and the product.

They are events of the built-in project ``hooktide``, and are published once it is applied. It has
an account for each other project, and one for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from hooktide.domain.ids import show
from hooktide.domain.model import HOUR, Account, Endpoint, Micros
from hooktide.domain.time.times import show_time

PROJECT = "hooktide"
"""The built-in project's name. It has no operational events of its own, which would recurse."""
EVERYTHING = "all_projects"
"""The reference of the account that receives the events of every project."""

FAILING_THRESHOLD = 5


class Type(StrEnum):
    """The event types."""

    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_FAILING = "endpoint.failing"
    DELIVERY_FAILED = "delivery.failed"
    PLAN_LIMIT_REACHED = "plan.limit_reached"
    SECRET_ROTATED = "secret.rotated"  # noqa: S105  # an event's name


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationalEvent:
    """Something to publish, once per ``key``. ``about`` are members of its payload."""

    key: str
    type: Type
    account_id: int
    endpoint_id: int | None
    at: Micros
    about: Mapping[str, Any]


def listener_of(project: str) -> str:
    """Return the reference of the account that gets a project's operational events.

    It is not the bare project name: a product may use that for a customer, and a request with an
    operator's key that names the account would be ambiguous.
    """
    return f"project:{project}"


def failing_after(disable_after: int) -> int:
    """Return after how many failed deliveries in a row ``endpoint.failing`` is published.

    ``disable_after`` is when the endpoint is disabled (0: never); this is earlier.
    """
    if not disable_after:
        return FAILING_THRESHOLD
    return max(1, min(FAILING_THRESHOLD, disable_after - 1))


def disabled(account_id: int, endpoint_id: int, reason: str, at: Micros) -> OperationalEvent:
    """An endpoint was disabled."""
    about = {"reason": reason}
    key = f"{endpoint_id:x}:{at}"
    return _event(Type.ENDPOINT_DISABLED, key, account_id, endpoint_id, at, about)


def failing(
    account_id: int,
    endpoint_id: int,
    delivery_id: int,
    failed: int,
    disable_after: int,
    at: Micros,
) -> OperationalEvent:
    """An endpoint has begun to fail; this delivery is the latest to fail."""
    about = {"consecutive_failures": failed, "disabled_after": disable_after or None}
    key = f"{delivery_id:x}"
    return _event(Type.ENDPOINT_FAILING, key, account_id, endpoint_id, at, about)


def rotated(
    account_id: int, endpoint_id: int, previous_secret_expires_at: Micros, at: Micros
) -> OperationalEvent:
    """An endpoint has a new secret."""
    about = {"previous_secret_expires_at": show_time(previous_secret_expires_at)}
    key = f"{endpoint_id:x}:{at}"
    return _event(Type.SECRET_ROTATED, key, account_id, endpoint_id, at, about)


def delivery_failed(
    account_id: int,
    endpoint_id: int,
    delivery_id: int,
    event_id: int,
    event_type: str,
    attempts: int,
    reason: str,
    at: Micros,
) -> OperationalEvent:
    """A delivery has failed for good."""
    about = {
        "delivery": show("dlv", delivery_id),
        "event": show("evt", event_id),
        "event_type": event_type,
        "attempts": attempts,
        "reason": reason,
    }
    key = f"{delivery_id:x}"
    return _event(Type.DELIVERY_FAILED, key, account_id, endpoint_id, at, about)


def limit_reached(account_id: int, limit: str, allowed: int, at: Micros) -> OperationalEvent:
    """A plan's limit is reached; published once per hour for each limit."""
    about = {"limit": limit, "allowed": allowed}
    key = f"{account_id:x}:{limit}:{at // HOUR}"
    return _event(Type.PLAN_LIMIT_REACHED, key, account_id, None, at, about)


def _event(
    type_: Type,
    key: str,
    account_id: int,
    endpoint_id: int | None,
    at: Micros,
    about: Mapping[str, Any],
) -> OperationalEvent:
    """Make an event; ``key`` is unique among the events of its type."""
    return OperationalEvent(
        key=f"{type_}:{key}",
        type=type_,
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about=about,
    )


def payload(
    event: OperationalEvent, project: str, account: Account | None, endpoint: Endpoint | None
) -> bytes:
    """Return the payload; ``account`` or ``endpoint`` is None if it was deleted meanwhile.

    The URL's query is left out: it may hold the customer's credentials.
    """
    body: dict[str, Any] = {
        "project": project,
        "account": {
            "id": show("acc", event.account_id),
            "reference": account.reference if account else None,
            "name": account.name if account else None,
        },
    }
    if event.endpoint_id is not None:
        body["endpoint"] = {
            "id": show("ep", event.endpoint_id),
            "url": endpoint.url.partition("?")[0] if endpoint else None,
            "name": endpoint.name if endpoint else None,
            "kind": endpoint.kind if endpoint else None,
        }
    return msgspec.json.encode({**body, **event.about})
