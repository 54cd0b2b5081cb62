"""What models of several areas have in common: instants, named values, references, pages."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

ENUMERATION = "x-enumeration"
"""The mark of a text that has one of the values of an enumeration; the server knows them all."""


def one_of(enumeration: str) -> msgspec.Meta:
    """Mark a text as a value of an enumeration, which the OpenAPI document describes by this name.

    In a request it is a ``Literal``. In an answer it is any ``str``, so that a client can read a
    value that a newer server has added.
    """
    return msgspec.Meta(extra_json_schema={ENUMERATION: enumeration})


DeliveryState: TypeAlias = Literal["pending", "held", "delivered", "failed", "discarded"]
EndpointKind: TypeAlias = Literal["webhook", "slack", "discord", "teams", "mail"]
KeyScope: TypeAlias = Literal["operator", "project", "account"]
ReplayWhat: TypeAlias = Literal["failed", "missed", "event"]
Role: TypeAlias = Literal["owner", "member", "viewer"]

Instant: TypeAlias = Annotated[
    datetime,
    msgspec.Meta(description="An instant in UTC, RFC 3339, to the microsecond.", tz=True),
]
DATE_TIME = {"format": "date-time"}
"""What the schema of an instant in a request says. It is a text, which the server reads itself."""

AccountName: TypeAlias = Annotated[
    str, msgspec.Meta(description="An `acc_` id, or the product's own reference.")
]
HeaderPairs: TypeAlias = list[
    Annotated[tuple[str, str], msgspec.Meta(description="A name and its value.")]
]


class ResponseModel(msgspec.Struct, frozen=True):
    """An answer, or a part of one."""


class RequestModel(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """A request's body, or its query parameters. What is left out is the default."""


class Listed(ResponseModel, Generic[T], frozen=True):
    """One page of a list, newest first; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None


class PageQuery(RequestModel, frozen=True, kw_only=True):
    """Which page of a list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="How many, at most.")] = 50
    cursor: Annotated[str, msgspec.Meta(description="`next_cursor` of the page before.")] | None = (
        None
    )


class PeriodQuery(PageQuery, frozen=True, kw_only=True):
    """Which page of a list, and from when to when."""

    since: (
        Annotated[
            str,
            msgspec.Meta(
                description="An instant, RFC 3339: only what was made then or later.",
                extra_json_schema=DATE_TIME,
            ),
        ]
        | None
    ) = None
    until: (
        Annotated[
            str,
            msgspec.Meta(
                description="An instant, RFC 3339: only what was made earlier.",
                extra_json_schema=DATE_TIME,
            ),
        ]
        | None
    ) = None
