"""What all kinds of sessions have in common."""

from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.model import Role, Scope


class Session(Protocol):
    """An authenticated session."""

    @property
    def scope(self) -> Scope:
        """The scope that the session has access to."""

    @property
    def actor(self) -> Actor:
        """The actor for the audit log."""

    @property
    def base(self) -> str:
        """The base path of the session's pages."""

    @property
    def csrf(self) -> str:
        """The token that forms include; empty if the path is already secret."""

    @property
    def watches(self) -> Hashable:
        """The key under which the session's streams are counted."""

    @property
    def frame(self) -> Mapping[str, Any]:
        """What the base template shows on each page."""

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""

    def missing_role(self, role: Role) -> RefusedError:
        """Return the error that says which role is needed."""

    def path_of_account(self, account_id: int) -> str:
        """Return the path, below the base, of the page that shows an account's endpoints."""

    async def is_open(self) -> bool:
        """Whether the session is still what it was when the page was opened."""


class PublicSession:
    """The base of sessions without a login: they have no access to any project, and are
    read-only."""

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def scope(self) -> Scope:
        """No particular project."""
        return Scope()

    @property
    def actor(self) -> Actor:
        """No users yet."""
        return Actor(name="", source=Source.DASHBOARD, address=self.address)

    @property
    def base(self) -> str:
        """Paths are absolute."""
        return ""

    @property
    def csrf(self) -> str:
        """No cookie says who they are, so no form needs a token."""
        return ""

    @property
    def watches(self) -> Hashable:
        """They have no streams."""
        return None

    @property
    def frame(self) -> Mapping[str, Any]:
        """Nothing is on each page."""
        return {}

    def may(self, role: Role) -> bool:
        """Whether the role is the viewer's."""
        return role is Role.VIEWER

    def missing_role(self, role: Role) -> RefusedError:
        """Return the error for a session that must log in first."""
        return RefusedError("forbidden", f"log in as a {role} first", status=403)

    def path_of_account(self, account_id: int) -> str:
        """Return the page of an account; this session has none."""
        raise NotFoundError("account")

    async def is_open(self) -> bool:
        """Always open."""
        return True
