"""What the product is told of the running itself: operational events, and the project they are of.

The project ``hooktide`` ships like a provider's, and there are such events once it is applied. It
has an account for each other project, and one that hears of them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from hooktide.domain.ids import show
from hooktide.domain.model import HOUR, Account, Endpoint, Micros
from hooktide.domain.times import show_time

PROJECT = "hooktide"
"""The built-in project's name. Nothing that happens in it is told: that would go round."""
EVERYTHING = "all_projects"
"""The reference of the account that hears of every project."""

FAILING_AFTER = 5


class Type(StrEnum):
    """The event types."""

    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_FAILING = "endpoint.failing"
    DELIVERY_FAILED = "delivery.failed"
    PLAN_LIMIT_REACHED = "plan.limit_reached"
    SECRET_ROTATED = "secret.rotated"  # noqa: S105  # an event's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something to be told of, once for each ``key``. ``about`` are members of its payload."""

    key: str
    type: Type
    account_id: int
    endpoint_id: int | None
    at: Micros
    about: Mapping[str, Any]


def listener_of(project: str) -> str:
    """Return the reference of the account that hears of a project.

    Not its bare name: that may well be what a product calls a customer, and then whoever names that
    account with an operator's key would have to say which.
    """
    return f"project:{project}"


def failing_after(disable_after: int) -> int:
    """Return after how many failed deliveries in a row an endpoint is said to be failing.

    ``disable_after`` is when it is disabled (0: never); it is said before.
    """
    return FAILING_AFTER if not disable_after else max(1, min(FAILING_AFTER, disable_after - 1))


def disabled(account_id: int, endpoint_id: int, reason: str, at: Micros) -> Happening:
    """Tell that an endpoint was disabled."""
    return _of_endpoint(Type.ENDPOINT_DISABLED, account_id, endpoint_id, at, {"reason": reason})


def failing(
    account_id: int,
    endpoint_id: int,
    delivery_id: int,
    failed: int,
    disable_after: int,
    at: Micros,
) -> Happening:
    """Tell that an endpoint has begun to fail, with this delivery as the last so far."""
    return Happening(
        key=f"{Type.ENDPOINT_FAILING}:{delivery_id:x}",
        type=Type.ENDPOINT_FAILING,
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about={"failed_in_a_row": failed, "disabled_after": disable_after or None},
    )


def rotated(account_id: int, endpoint_id: int, old_stops_at: Micros, at: Micros) -> Happening:
    """Tell that an endpoint has a new secret."""
    about = {"old_secret_stops_at": show_time(old_stops_at)}
    return _of_endpoint(Type.SECRET_ROTATED, account_id, endpoint_id, at, about)


def _of_endpoint(
    type_: Type, account_id: int, endpoint_id: int, at: Micros, about: Mapping[str, Any]
) -> Happening:
    return Happening(
        key=f"{type_}:{endpoint_id:x}:{at}",
        type=type_,
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about=about,
    )


def delivery_failed(
    account_id: int,
    endpoint_id: int,
    delivery_id: int,
    event_id: int,
    event_type: str,
    attempts: int,
    reason: str,
    at: Micros,
) -> Happening:
    """Tell that a delivery has failed for good."""
    return Happening(
        key=f"{Type.DELIVERY_FAILED}:{delivery_id:x}",
        type=Type.DELIVERY_FAILED,
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about={
            "delivery": show("dlv", delivery_id),
            "event": show("evt", event_id),
            "event_type": event_type,
            "attempts": attempts,
            "reason": reason,
        },
    )


def limit_reached(account_id: int, limit: str, allowed: int, at: Micros) -> Happening:
    """Tell that a plan's limit is reached; of each, once an hour."""
    return Happening(
        key=f"{Type.PLAN_LIMIT_REACHED}:{account_id:x}:{limit}:{at // HOUR}",
        type=Type.PLAN_LIMIT_REACHED,
        account_id=account_id,
        endpoint_id=None,
        at=at,
        about={"limit": limit, "allowed": allowed},
    )


def payload(
    happening: Happening, project: str, account: Account | None, endpoint: Endpoint | None
) -> bytes:
    """Write the payload of a happening's event; what is None was removed meanwhile.

    Of an endpoint's URL the query is left out: it may hold the customer's credentials.
    """
    told: dict[str, Any] = {
        "project": project,
        "account": {
            "id": show("acc", happening.account_id),
            "reference": account.reference if account else None,
            "name": account.name if account else None,
        },
    }
    if happening.endpoint_id is not None:
        told["endpoint"] = {
            "id": show("ep", happening.endpoint_id),
            "url": endpoint.url.partition("?")[0] if endpoint else None,
            "name": endpoint.name if endpoint else None,
            "kind": endpoint.kind if endpoint else None,
        }
    return msgspec.json.encode({**told, **happening.about})
