"""Accounts, API keys, and the dashboard's users."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from hooktide.client.requests import Request, Steps, call, command, pages
from hooktide.client.transport import Area, X, listing, operation
from hooktide.wire.access import (
    Key,
    KeyIn,
    KeyMade,
    LoginLink,
    RevokeQuery,
    User,
    UserChange,
    UserIn,
    Users,
)
from hooktide.wire.accounts import (
    Account,
    AccountChange,
    AccountIn,
    AccountPut,
    AccountQuery,
    Erasure,
    PortalLink,
    PortalLinkIn,
    RemoveAccountQuery,
)
from hooktide.wire.fields import KeyScope, PageQuery, Role


class AccountsArea(Area[X]):
    """The customers of a project, by ``acc_`` id or by the product's own reference."""

    @operation
    def add(
        self, reference: str, *, project: str | None = None, name: str = "", plan: str | None = None
    ) -> Request[Account]:
        """Add an account. ``project`` is needed with an operator's key."""
        body = AccountIn(reference=reference, project=project, name=name, plan=plan)
        return call("POST", "/v1/accounts", Account, body=body)

    @listing
    def list(self, *, project: str | None = None, limit: int | None = None) -> Steps[Account]:
        """List the accounts, newest first."""
        return pages("/v1/accounts", Account, AccountQuery(project=project), limit)

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
    ) -> Request[Account]:
        """Create the account of a reference, or change what is given of the one there is.

        The same call again changes nothing. ``project`` is needed with an operator's key.
        """
        body = AccountPut(project=project, name=name, plan=plan)
        return call("PUT", "/v1/accounts/{account}", Account, body=body, account=reference)

    @operation
    def change(
        self, account: str, *, name: str | UnsetType = UNSET, plan: str | UnsetType = UNSET
    ) -> Request[Account]:
        """Change what is given of an account."""
        body = AccountChange(name=name, plan=plan)
        return call("PATCH", "/v1/accounts/{account}", Account, body=body, account=account)

    @operation
    def remove(self, account: str) -> Request[None]:
        """Remove an account with its endpoints and keys."""
        return command("DELETE", "/v1/accounts/{account}", account=account)

    @operation
    def erase(self, account: str) -> Request[Erasure]:
        """Remove an account and erase what is kept of it, in the background.

        One that was removed before can be erased as well. ``erasure`` says how far it is, by the
        account's id, which the answer has: its reference is gone.
        """
        query = RemoveAccountQuery(erase=True)
        return call("DELETE", "/v1/accounts/{account}", Erasure, query=query, account=account)

    @operation
    def erasure(self, id: str) -> Request[Erasure]:
        """Get how far the erasure of an account is, by the account's id."""
        return call("GET", "/v1/accounts/{account}/erasure", Erasure, account=id)

    @operation
    def portal_link(
        self, account: str, *, expires_in: int = 3600, read_only: bool = False
    ) -> Request[PortalLink]:
        """Make a link into an account's portal, good for ``expires_in`` seconds."""
        body = PortalLinkIn(expires_in=expires_in, read_only=read_only)
        path = "/v1/accounts/{account}/portal-links"
        return call("POST", path, PortalLink, body=body, account=account)

    @operation
    def revoke_portal_links(self, account: str) -> Request[None]:
        """Revoke all links into an account's portal that were made so far."""
        return command("DELETE", "/v1/accounts/{account}/portal-links", account=account)


class KeysArea(Area[X]):
    """What opens the API."""

    @operation
    def add(
        self,
        scope: KeyScope,
        name: str,
        *,
        project: str | None = None,
        account: str | None = None,
    ) -> Request[KeyMade]:
        """Make a key; its text is in the answer, this once."""
        body = KeyIn(scope=scope, name=name, project=project, account=account)
        return call("POST", "/v1/keys", KeyMade, body=body)

    @listing
    def list(self, *, limit: int | None = None) -> Steps[Key]:
        """List the keys, newest first, revoked ones included."""
        return pages("/v1/keys", Key, PageQuery(), limit)

    @operation
    def revoke(self, id: str, *, force: bool = False) -> Request[None]:
        """Revoke a key for good; the last operator's key only with ``force``."""
        return command("DELETE", "/v1/keys/{id}", query=RevokeQuery(force=force), id=id)


class UsersArea(Area[X]):
    """Who may log in to the dashboard, for an operator."""

    @operation
    def add(self, name: str, role: Role, *, project: str | None = None) -> Request[User]:
        """Add somebody; a login link lets them in. Without a project, all of them are theirs."""
        body = UserIn(name=name, role=role, project=project)
        return call("POST", "/v1/users", User, body=body)

    @operation
    def list(self) -> Request[Sequence[User]]:
        """List everybody, by name."""
        return call("GET", "/v1/users", Users).then(lambda found: found.items)

    @operation
    def get(self, id: str) -> Request[User]:
        """Get somebody."""
        return call("GET", "/v1/users/{id}", User, id=id)

    @operation
    def change(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        role: Role | UnsetType = UNSET,
        project: str | UnsetType | None = UNSET,
    ) -> Request[User]:
        """Change what is given of somebody; ``project`` None: all projects."""
        body = UserChange(name=name, role=role, project=project)
        return call("PATCH", "/v1/users/{id}", User, body=body, id=id)

    @operation
    def remove(self, id: str) -> Request[None]:
        """Remove somebody; they are logged out at once."""
        return command("DELETE", "/v1/users/{id}", id=id)

    @operation
    def login_link(self, id: str) -> Request[LoginLink]:
        """Make a link that logs somebody in, once and within a day."""
        return call("POST", "/v1/users/{id}/login-links", LoginLink, id=id)
