"""Accounts, API keys, and the dashboard's users."""

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec import UNSET, UnsetType

from hooktide.client.requests import Request, Steps, call, command, pages
from hooktide.client.transport import Area, X, listing, operation
from hooktide.wire.access import (
    Key,
    KeyCreated,
    KeyIn,
    LoginLink,
    RevokeQuery,
    User,
    UserIn,
    Users,
    UserUpdate,
)
from hooktide.wire.accounts import (
    Account,
    AccountIn,
    AccountPut,
    AccountQuery,
    AccountRateLimit,
    AccountUpdate,
    DeleteAccountQuery,
    Erasure,
    PortalLink,
    PortalLinkIn,
    RateLimitIn,
)
from hooktide.wire.fields import KeyScope, PageQuery, Role


class AccountsArea(Area[X]):
    """The customers of a project, by ``acc_`` id or by the product's own reference."""

    @operation
    def create(
        self,
        reference: str,
        *,
        project: str | None = None,
        name: str = "",
        plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Request[Account]:
        """Create an account. ``project`` is required with an operator's key."""
        body = AccountIn(
            reference=reference,
            project=project,
            name=name,
            plan=plan,
            metadata=dict(metadata or {}),
        )
        return call("POST", "/v1/accounts", Account, body=body)

    @listing
    def list(
        self, *, project: str | None = None, metadata: str | None = None, limit: int | None = None
    ) -> Steps[Account]:
        """List the accounts, newest first; ``metadata``: only those that have it, like
        ``tier:gold``."""
        query = AccountQuery(project=project, metadata=metadata)
        return pages("/v1/accounts", Account, query, limit)

    @operation
    def get(self, account: str) -> Request[Account]:
        """Get an account."""
        return call("GET", "/v1/accounts/{account}", Account, account=account)

    @operation
    def put(
        self,
        reference: str,
        *,
        project: str | None = None,
        name: str | None = None,
        plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Request[Account]:
        """Create the account with a reference, or update the given fields of the existing one.

        The call is idempotent. ``project`` is required with an operator's key.
        """
        kept = None if metadata is None else dict(metadata)
        body = AccountPut(project=project, name=name, plan=plan, metadata=kept)
        return call("PUT", "/v1/accounts/{account}", Account, body=body, account=reference)

    @operation
    def update(
        self,
        account: str,
        *,
        name: str | UnsetType = UNSET,
        plan: str | UnsetType = UNSET,
        metadata: Mapping[str, str] | UnsetType = UNSET,
    ) -> Request[Account]:
        """Update the given fields of an account; ``metadata`` is replaced as a whole."""
        body = AccountUpdate(
            name=name, plan=plan, metadata=cast("dict[str, str] | UnsetType", metadata)
        )
        return call("PATCH", "/v1/accounts/{account}", Account, body=body, account=account)

    @operation
    def rate_limit(self, account: str) -> Request[AccountRateLimit]:
        """Get how many requests a second all endpoints of an account get together."""
        path = "/v1/accounts/{account}/rate-limit"
        return call("GET", path, AccountRateLimit, account=account)

    @operation
    def set_rate_limit(
        self, account: str, rate_limit: int | None, *, burst: int | None = None
    ) -> Request[AccountRateLimit]:
        """Limit how many requests a second all endpoints of an account get together.

        None: no limit but the plan's. ``burst``: how many of them at once after a pause.
        """
        body = RateLimitIn(rate_limit=rate_limit, burst=burst)
        path = "/v1/accounts/{account}/rate-limit"
        return call("PUT", path, AccountRateLimit, body=body, account=account)

    @operation
    def delete(self, account: str) -> Request[None]:
        """Delete an account with its endpoints and keys."""
        return command("DELETE", "/v1/accounts/{account}", account=account)

    @operation
    def erase(self, account: str) -> Request[Erasure]:
        """Delete an account and erase its data in the background.

        One that was deleted earlier can still be erased. ``erasure`` returns the progress, by the
        account's id from this response: its reference is erased.
        """
        query = DeleteAccountQuery(erase=True)
        return call("DELETE", "/v1/accounts/{account}", Erasure, query=query, account=account)

    @operation
    def erasure(self, id: str) -> Request[Erasure]:
        """Get the progress of an account's erasure, by the account's id."""
        return call("GET", "/v1/accounts/{account}/erasure", Erasure, account=id)

    @operation
    def create_portal_link(
        self, account: str, *, expires_in: int = 3600, read_only: bool = False
    ) -> Request[PortalLink]:
        """Create a link into an account's portal, valid for ``expires_in`` seconds."""
        body = PortalLinkIn(expires_in=expires_in, read_only=read_only)
        path = "/v1/accounts/{account}/portal-links"
        return call("POST", path, PortalLink, body=body, account=account)

    @operation
    def revoke_portal_links(self, account: str) -> Request[None]:
        """Revoke all existing links into an account's portal."""
        return command("DELETE", "/v1/accounts/{account}/portal-links", account=account)


class KeysArea(Area[X]):
    """API keys."""

    @operation
    def create(
        self,
        scope: KeyScope,
        name: str,
        *,
        project: str | None = None,
        account: str | None = None,
    ) -> Request[KeyCreated]:
        """Create a key; its text is returned only this once."""
        body = KeyIn(scope=scope, name=name, project=project, account=account)
        return call("POST", "/v1/keys", KeyCreated, body=body)

    @listing
    def list(self, *, limit: int | None = None) -> Steps[Key]:
        """List the keys, newest first, revoked ones included."""
        return pages("/v1/keys", Key, PageQuery(), limit)

    @operation
    def revoke(self, id: str, *, force: bool = False) -> Request[None]:
        """Revoke a key permanently; the last operator key only with ``force``."""
        return command("DELETE", "/v1/keys/{id}", query=RevokeQuery(force=force), id=id)


class UsersArea(Area[X]):
    """The dashboard's users, for an operator."""

    @operation
    def create(self, name: str, role: Role, *, project: str | None = None) -> Request[User]:
        """Create a user. Without a project, they have access to all of them."""
        body = UserIn(name=name, role=role, project=project)
        return call("POST", "/v1/users", User, body=body)

    @operation
    def list(self) -> Request[Sequence[User]]:
        """List the users, by name."""
        return call("GET", "/v1/users", Users).then(lambda found: found.items)

    @operation
    def get(self, id: str) -> Request[User]:
        """Get a user."""
        return call("GET", "/v1/users/{id}", User, id=id)

    @operation
    def update(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        role: Role | UnsetType = UNSET,
        project: str | UnsetType | None = UNSET,
    ) -> Request[User]:
        """Update the given fields of a user; ``project`` None: all projects."""
        body = UserUpdate(name=name, role=role, project=project)
        return call("PATCH", "/v1/users/{id}", User, body=body, id=id)

    @operation
    def delete(self, id: str) -> Request[None]:
        """Delete a user, and log them out at once."""
        return command("DELETE", "/v1/users/{id}", id=id)

    @operation
    def create_login_link(self, id: str) -> Request[LoginLink]:
        """Create a link that logs a user in, once and within a day."""
        return call("POST", "/v1/users/{id}/login-links", LoginLink, id=id)
