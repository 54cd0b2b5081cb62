"""Types shared by several areas: times, enumerations, references, pages."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

ENUMERATION = "x-enumeration"
"""Marks a string whose value is from an enumeration; the server knows all values."""


def one_of(enumeration: str) -> msgspec.Meta:
    """Mark a string as a value of an enumeration that the OpenAPI document describes.

    In a request it is a ``Literal``. In a response it is any ``str``, so that a client can read
    values that a newer server has added.
    """
    return msgspec.Meta(extra_json_schema={ENUMERATION: enumeration})


def time_text(description: str) -> msgspec.Meta:
    """Describe a time in a request, which is a string that the server parses itself."""
    return msgspec.Meta(description=description, extra_json_schema={"format": "date-time"})


DeliveryState: TypeAlias = Literal["pending", "held", "delivered", "failed", "discarded"]
EndpointKind: TypeAlias = Literal["webhook", "slack", "discord", "teams", "mail"]
JobAct: TypeAlias = Literal["resend", "retry", "stop"]
KeyScope: TypeAlias = Literal["operator", "project", "account"]
Origin: TypeAlias = Literal["event", "test", "resend", "replay"]
ReplayWhat: TypeAlias = Literal["failed", "missed", "event"]
Role: TypeAlias = Literal["owner", "member", "viewer"]

Instant: TypeAlias = Annotated[
    datetime,
    msgspec.Meta(description="A time in UTC, RFC 3339, to the microsecond.", tz=True),
]
AccountName: TypeAlias = Annotated[
    str, msgspec.Meta(description="An `acc_` id, or the product's own reference.")
]
Metadata: TypeAlias = Annotated[
    dict[str, str],
    msgspec.Meta(description="Names with texts, 4,096 bytes as JSON at most."),
]
MetadataFilter: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        description="Only those with this name and value in their `metadata`, like `tier:gold`."
    ),
]
HeaderPairs: TypeAlias = list[
    Annotated[tuple[str, str], msgspec.Meta(description="A name and its value.")]
]


class ResponseModel(msgspec.Struct, frozen=True):
    """A response, or a part of one."""


class RequestModel(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A request's body, or its query parameters. Omitted members have their defaults."""


class Listed(ResponseModel, Generic[T], frozen=True):
    """One page of a list, newest first; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None


class PageQuery(RequestModel, frozen=True, kw_only=True):
    """Which page of a list."""

    limit: Annotated[
        int, msgspec.Meta(ge=1, le=100, description="The maximum number of items.")
    ] = 50
    cursor: (
        Annotated[str, msgspec.Meta(description="The `next_cursor` of the previous page.")] | None
    ) = None


class PeriodQuery(PageQuery, frozen=True, kw_only=True):
    """Which page of a list, and from which period."""

    since: Annotated[str, time_text("RFC 3339: only items from this time on.")] | None = None
    until: Annotated[str, time_text("RFC 3339: only items before this time.")] | None = None


RetryDelays = Annotated[
    list[int] | None,
    msgspec.Meta(
        description="Seconds before each retry, at most as many as the plan has retries and "
        "together at most as long as its own; empty: no retries. null: those of the event type or "
        "the plan."
    ),
]
TimeoutSeconds = Annotated[
    float | None,
    msgspec.Meta(
        description="The longest time for a whole attempt, 1 to 30 seconds, or less by the plan. "
        "null: that of the event type or the plan."
    ),
]
RateLimit = Annotated[
    int | None,
    msgspec.Meta(
        description="Requests a second, 1 to 10000, or fewer by the plan; what is above it waits. "
        "null: not limited."
    ),
]
Burst = Annotated[
    int | None,
    msgspec.Meta(
        description="Requests that may be sent at once after a pause, up to 10 times `rate_limit`. "
        "null: as many as in a second."
    ),
]
