"""Dashboard users, who log in with a password, a key, or a link that works once."""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hooktide.actions.access.passwords import Passwords
from hooktide.actions.accounts import Accounts
from hooktide.actions.texts import check_text
from hooktide.domain.audit_log import SERVER, Action, Actor, Source, key_name
from hooktide.domain.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from hooktide.domain.model import (
    DAY,
    ApiKey,
    KeyScope,
    Micros,
    Role,
    Scope,
    Session,
    User,
)
from hooktide.domain.throttling.login_throttle import begin_login, finish_login, login_places
from hooktide.store.contract import Store

PREFIX = "htks_"
MAX_NAME_LENGTH = 100
SESSION_LIFETIME = 7 * DAY
LINK_LIFETIME = DAY
FIRST_OWNER = "owner"

_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}(?:\.[0-9a-f]{1,16})?")
RANKS = {Role.VIEWER: 0, Role.MEMBER: 1, Role.OWNER: 2}
"""A role includes the permissions of the roles below it."""
_ROLES = {KeyScope.OPERATOR: Role.OWNER, KeyScope.PROJECT: Role.MEMBER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A logged-in user or key holder, and the scope they have access to.

    ``name`` is what the audit log calls them, ``user_id`` the user (None: logged in with a key),
    ``digest`` identifies the session.
    """

    name: str
    role: Role
    scope: Scope
    user_id: int | None
    digest: bytes = field(repr=False)
    expires_at: Micros

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""
        return RANKS[self.role] >= RANKS[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLink:
    """A URL that logs a user in, once."""

    url: str = field(repr=False)
    expires_at: Micros


class Users:
    """Manages users and logs them in. Users outside a ``scope`` count as not found."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        clock: Callable[[], Micros],
        public_url: str,
        passwords: Passwords | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._public_url = public_url
        self._passwords = passwords or Passwords()

    async def create(
        self, actor: Actor, scope: Scope, name: str, role: Role, project: str | None
    ) -> User:
        """Create a user, for one project (by name) or for all.

        :raises InvalidError: the name cannot be used.
        :raises NotFoundError: there is no such project.
        :raises RefusedError: another user has this name.
        """
        project_id = await self._project(scope, project)
        return await self._store.create_user(
            _check_name(name), role, project_id, self._clock(), actor.does("user.create")
        )

    async def get(self, scope: Scope, user_id: int) -> User:
        """Find a user.

        :raises NotFoundError: the scope has no user with this id.
        """
        found = await self._store.get_user(user_id)
        if scope.project_id not in (None, found.project_id) or scope.account_id is not None:
            raise NotFoundError("user")
        return found

    async def everybody(self, scope: Scope) -> Sequence[User]:
        """Return the users of a scope, by name."""
        if scope.account_id is not None:
            return []
        found = await self._store.list_users()
        return [each for each in found if scope.project_id in (None, each.project_id)]

    async def update(
        self, actor: Actor, scope: Scope, user_id: int, changes: Mapping[str, Any]
    ) -> User:
        """Update a user's ``name``, ``role`` or ``project`` (a name; None: all of them).

        New permissions apply at once, including to open sessions.

        :raises InvalidError: the name cannot be used.
        :raises NotFoundError: there is no such user or project.
        :raises RefusedError: another user has this name, or they are the last owner of all
        projects.
        """
        user = await self.get(scope, user_id)
        given = dict(changes)
        if "name" in given:
            given["name"] = _check_name(given["name"])
        if "project" in given:
            given["project_id"] = await self._project(scope, given.pop("project"))
        if not given:
            return user
        return await self._store.update_user(
            user_id, given, self._clock(), actor.does("user.update")
        )

    async def delete(self, actor: Actor, scope: Scope, user_id: int) -> None:
        """Delete a user, and log them out at once.

        :raises RefusedError: they are the last owner of all projects.
        """
        await self.get(scope, user_id)
        await self._store.delete_user(user_id, self._clock(), actor.does("user.delete"))

    async def _project(self, scope: Scope, name: str | None) -> int | None:
        if name is None:
            return scope.project_id
        return (await self._accounts.project(scope, name)).id

    async def set_password(self, actor: Actor, user_id: int, password: str) -> None:
        """Set a user's password, end all their sessions and revoke their login links.

        :raises InvalidError: it is too short, too long, or their name.
        """
        user = await self._store.get_user(user_id)
        hashed = await self._passwords.hash(password, user.name)
        await self._store.update_user(
            user_id, {"password": hashed}, self._clock(), actor.does("user.password")
        )

    async def make_link(self, actor: Actor, scope: Scope, user_id: int) -> LoginLink:
        """Create a link that logs a user in, once, within a day.

        :raises NotFoundError: the scope has no user with this id.
        """
        await self.get(scope, user_id)
        token, expires_at = secrets.token_urlsafe(32), self._clock() + LINK_LIFETIME
        await self._store.create_login_link(
            user_id, _digest(token), expires_at, actor.does("login_link.create")
        )
        return LoginLink(url=f"{self._public_url}/dashboard/login/{token}", expires_at=expires_at)

    async def first_link(self) -> LoginLink | None:
        """Create the first owner if there are no users yet, and a link that logs them in."""
        if await self._store.list_users():
            return None
        try:
            owner = await self._store.create_user(
                FIRST_OWNER, Role.OWNER, None, self._clock(), SERVER.does("user.create")
            )
        except RefusedError:  # another machine started at the same time
            return None
        return await self.make_link(SERVER, Scope(), owner.id)

    async def login(self, name: str, password: str, address: str) -> tuple[str, Principal]:
        """Log a user in by name and password; return the session's token and its principal.

        ``address`` is where the request came from, empty if unknown. An unknown name takes as long
        as a known one.

        :raises RefusedError: ``login_failed``.
        :raises BusyError: ``too_many_logins``.
        :raises UnavailableError: too many passwords are being checked.
        """
        places = login_places(name, address)
        now = self._clock()
        await self._store.edit_login_records(places, lambda old: begin_login(places, old, now))
        while True:
            user = await self._verified(name, password)
            with suppress(NotFoundError):  # the password was changed while it was verified
                entered = await self._login(address, user, None)
                break
        await self._store.edit_login_records(places, lambda old: finish_login(places, old, now))
        await self._rehash(user, password)
        return entered

    async def _verified(self, name: str, password: str) -> User:
        try:
            user = await self._store.find_user(name)
        except (NotFoundError, InvalidError):
            user = None
        stored = "" if user is None else user.password
        if not await self._passwords.verify(password, stored) or user is None:
            raise RefusedError("login_failed", "wrong name or password", status=401)
        return user

    async def _rehash(self, user: User, password: str) -> None:
        """Replace a password's stored hash if its format is outdated."""
        with suppress(UnavailableError):  # it is tried again at the next login
            hashed = await self._passwords.rehash(password, user.password)
            if hashed != user.password:
                await self._store.replace_password_hash(user.id, user.password, hashed)

    async def login_by_key(self, key: str, address: str = "") -> tuple[str, Principal]:
        """Log in the holder of an operator or project key.

        :raises RefusedError: ``login_failed``: the key has no access to the dashboard.
        """
        found = await self._store.find_key(_digest(key))
        if found is None or found.scope not in _ROLES:
            raise RefusedError(
                "login_failed", "this is not an active operator or project key", status=401
            )
        return await self._login(address, None, found)

    async def check_link(self, token: str) -> None:
        """Check that a login link still works, without using it up.

        :raises NotFoundError: it was used, has expired, or is not a login link.
        """
        await self._store.check_login_link(_digest(token), self._clock())

    async def login_by_link(self, token: str, address: str = "") -> tuple[str, Principal]:
        """Log in with a login link, and use it up.

        :raises NotFoundError: it was used, has expired, or is not a login link.
        """
        user = await self._store.take_login_link(_digest(token), self._clock())
        return await self._login(address, user, None)

    async def begin(self, user: User) -> tuple[str, Principal]:
        """Start a session for a user; return its token and its principal."""
        return await self._begin(user, None, None)

    async def _login(
        self, address: str, user: User | None, key: ApiKey | None
    ) -> tuple[str, Principal]:
        name = user.name if user is not None else "" if key is None else key_name(key)
        actor = Actor(name=name, source=Source.DASHBOARD, address=address)
        return await self._begin(user, key, actor.does("user.login"))

    async def _begin(
        self, user: User | None, key: ApiKey | None, action: Action | None
    ) -> tuple[str, Principal]:
        user_id, key_id = None if user is None else user.id, None if key is None else key.id
        token = f"{PREFIX}{secrets.token_urlsafe(32)}.{user_id or key_id or 0:x}"
        digest, now = _digest(token), self._clock()
        await self._store.create_session(
            digest,
            user_id,
            key_id,
            now,
            now + SESSION_LIFETIME,
            action,
            "" if user is None else user.password,
        )
        session = Session(user=user, key=key, expires_at=now + SESSION_LIFETIME)
        return token, _principal(session, digest)

    async def principal(self, token: str) -> Principal | None:
        """Return the principal of a session's token; None: not logged in."""
        if not _TOKEN.fullmatch(token):
            return None
        digest = _digest(token)
        session = await self._store.find_session(digest, self._clock())
        return None if session is None else _principal(session, digest)

    async def is_current(self, principal: Principal) -> bool:
        """Return whether a principal is still logged in with the same role and scope."""
        session = await self._store.find_session(principal.digest, self._clock())
        return session is not None and _principal(session, principal.digest) == principal

    async def logout(self, principal: Principal) -> None:
        """End a session."""
        await self._store.end_session(principal.digest)


def _check_name(name: str) -> str:
    if not name:
        raise InvalidError("invalid_text", "a name needs at least one character", pointer="/name")
    return check_text(name, "/name", MAX_NAME_LENGTH)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def owner_of(token: str) -> str:
    """Return whose session a token is, in a form that all sessions of a user or key share."""
    return token.rpartition(".")[2]


def _principal(session: Session, digest: bytes) -> Principal:
    user, key = session.user, session.key
    if user is not None:
        return Principal(
            name=user.name,
            role=user.role,
            scope=Scope(project_id=user.project_id),
            user_id=user.id,
            digest=digest,
            expires_at=session.expires_at,
        )
    if key is None:
        raise NotFoundError("session")
    return Principal(
        name=key_name(key),
        role=_ROLES.get(key.scope, Role.VIEWER),
        scope=Scope(project_id=key.project_id, account_id=key.account_id),
        user_id=None,
        digest=digest,
        expires_at=session.expires_at,
    )
