"""API keys, the dashboard's users, and the audit log."""

from typing import Annotated, Any

import msgspec

from hooktide.wire.fields import (
    AccountName,
    Instant,
    KeyScope,
    PeriodQuery,
    RequestModel,
    ResponseModel,
    Role,
    one_of,
)


class KeyIn(RequestModel, frozen=True):
    """A new key. `project` is a project's name, `account` an account's id or reference."""

    scope: Annotated[KeyScope, one_of("KeyScope")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    project: str | None = None
    account: AccountName | None = None


class RevokeQuery(RequestModel, frozen=True):
    """How to revoke it."""

    force: Annotated[bool, msgspec.Meta(description="Revoke the last operator's key too.")] = False


class Key(ResponseModel, frozen=True, kw_only=True):
    """A key; only the last 4 characters of its text are known."""

    id: str
    scope: Annotated[str, one_of("KeyScope")]
    name: str
    project: str | None
    account: str | None
    last4: str
    created_at: Instant
    used_at: Instant | None
    revoked_at: Instant | None


class KeyCreated(Key, frozen=True, kw_only=True):
    """A new key, with its text, which is shown only once."""

    key: str

    def __repr__(self) -> str:
        return f"KeyCreated(id={self.id!r}, key=...)"


Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        description="The login name; unique, ignoring case.",
    ),
]
AnyRole = Annotated[
    Role,
    msgspec.Meta(
        description="`viewer` reads, `member` also changes things, `owner` also manages "
        "users and makes irreversible changes."
    ),
    one_of("Role"),
]


class UserIn(RequestModel, frozen=True):
    """A new user. `project` is a project's name; without it they have access to all projects."""

    name: Name
    role: AnyRole
    project: str | None = None


class UserUpdate(RequestModel, frozen=True):
    """The fields of a user to update; absent fields stay the same. `project` null: all projects."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    role: AnyRole | msgspec.UnsetType = msgspec.UNSET
    project: str | msgspec.UnsetType | None = msgspec.UNSET


class User(ResponseModel, frozen=True, kw_only=True):
    """A user of the dashboard."""

    id: str
    name: str
    role: Annotated[str, one_of("Role")]
    project: str | None
    has_password: bool
    created_at: Instant
    seen_at: Instant | None


class Users(ResponseModel, frozen=True):
    """All users, by name."""

    items: list[User]


class LoginLink(ResponseModel, frozen=True):
    """A URL that logs a user in once, until `expires_at`; it is shown only once."""

    url: str
    expires_at: Instant

    def __repr__(self) -> str:
        return f"LoginLink(expires_at={self.expires_at})"


class AuditLogQuery(PeriodQuery, frozen=True):
    """Which entries of the audit log."""

    target: (
        Annotated[str, msgspec.Meta(description="Only what was done to this id or name.")] | None
    ) = None


class AuditLogEntry(ResponseModel, frozen=True, kw_only=True):
    """An action in the audit log. `target` is the id or name of what it changed."""

    id: str
    at: Instant
    actor: Annotated[str, msgspec.Meta(description="A user's name, or the key.")]
    action: Annotated[str, msgspec.Meta(description="Noun and verb, like `endpoint.disable`.")]
    target: str
    detail: str
    source: Annotated[
        str,
        msgspec.Meta(
            description="Where it came from: `api`, `webhooks`, `portal`, `dashboard`, "
            "`bin_page`, `library`, `command_line`, or `server` for what Hooktide does "
            "automatically. Empty in entries older than this field."
        ),
    ]
    address: Annotated[str, msgspec.Meta(description="The IP address; empty if unknown.")]
    before: Annotated[
        dict[str, Any],
        msgspec.Meta(
            description="The fields that changed, with their old values. Secrets are `****`."
        ),
    ]
    after: Annotated[
        dict[str, Any], msgspec.Meta(description="The fields that changed, with their new values.")
    ]
    project: str | None
    account: str | None
