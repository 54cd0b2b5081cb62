"""Accounts, their erasure, and links into their portals."""

from typing import Annotated, Literal

import msgspec

from hooktide.wire.fields import (
    Burst,
    Instant,
    Metadata,
    MetadataFilter,
    PageQuery,
    RateLimit,
    RequestModel,
    ResponseModel,
)

Named = Annotated[str, msgspec.Meta(max_length=200)]
DefaultPlan = Annotated[str, msgspec.Meta(description="Default: the project's.")]


class AccountIn(RequestModel, frozen=True):
    """A new account. `project` is required with an operator's key."""

    reference: Annotated[
        str, msgspec.Meta(min_length=1, max_length=200, description="The product's own id for it.")
    ]
    project: str | None = None
    name: Named = ""
    plan: DefaultPlan | None = None
    metadata: Metadata = {}


class AccountPut(RequestModel, frozen=True):
    """An account to create or update; absent fields stay the same, or get their defaults."""

    project: Annotated[str, msgspec.Meta(description="Required with an operator's key.")] | None = (
        None
    )
    name: Named | None = None
    plan: DefaultPlan | None = None
    metadata: Metadata | None = None


class AccountUpdate(RequestModel, frozen=True):
    """The fields of an account to update; absent fields stay the same."""

    name: Named | msgspec.UnsetType = msgspec.UNSET
    plan: str | msgspec.UnsetType = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET


class AccountQuery(PageQuery, frozen=True):
    """Which accounts."""

    project: str | None = None
    metadata: MetadataFilter | None = None


class DeleteAccountQuery(RequestModel, frozen=True):
    """How to remove it."""

    erase: Annotated[
        bool,
        msgspec.Meta(description="Also erase its data: payloads, bodies, URLs, names."),
    ] = False


class Account(ResponseModel, frozen=True):
    """An account. `rate_limit` and `burst` are those of `PUT /v1/accounts/{account}/rate-limit`."""

    id: str
    project: str
    reference: str
    name: str
    plan: str
    metadata: dict[str, str]
    rate_limit: int | None
    burst: int | None
    created_at: Instant


class RateLimitIn(RequestModel, frozen=True):
    """How many requests a second all endpoints of an account may get together.

    `rate_limit` null: no limit but the plan's. `burst` null: as many at once as in a second.
    """

    rate_limit: RateLimit
    burst: Burst = None


class AccountRateLimit(ResponseModel, frozen=True):
    """An account's own limit of requests a second, and what its plan allows; null: no limit.

    `requests_per_second` is what holds: the lower of both.
    """

    rate_limit: int | None
    burst: int | None
    allowed: int | None
    requests_per_second: int | None


class Erasure(ResponseModel, frozen=True):
    """The progress of erasing an account's data.

    `events` and `attempts` count what has been erased so far, up to the event of `erased_to`. The
    `state` is `done` at the end.
    """

    account: str
    state: Literal["running", "done"]
    events: int
    attempts: int
    erased_to: Instant | None
    started_at: Instant
    ended_at: Instant | None


class PortalLinkIn(RequestModel, frozen=True):
    """A new link's lifetime and permissions."""

    expires_in: Annotated[
        int,
        msgspec.Meta(ge=60, le=7 * 86_400, description="Seconds that the link is valid for."),
    ] = 3600
    read_only: Annotated[
        bool, msgspec.Meta(description="The portal can be viewed, but not changed.")
    ] = False


class PortalLink(ResponseModel, frozen=True):
    """A link into an account's portal. Anyone who has `url` can open it until `expires_at`."""

    url: str
    expires_at: Instant
    read_only: bool

    def __repr__(self) -> str:
        return f"PortalLink(expires_at={self.expires_at}, read_only={self.read_only})"
