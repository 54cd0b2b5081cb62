"""Who logs in to the dashboard: with a password, a key, or a link that works once."""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hooktide.actions.accounts import Accounts
from hooktide.actions.changes import key_name
from hooktide.actions.passwords import Passwords
from hooktide.actions.texts import check_text
from hooktide.domain.errors import InvalidError, NotFoundError, RefusedError
from hooktide.domain.model import (
    DAY,
    MINUTE,
    ApiKey,
    KeyScope,
    Micros,
    Person,
    Role,
    Scope,
    Session,
)
from hooktide.store.base import Store

PREFIX = "htks_"
LONGEST_NAME = 100
SESSION_LASTS = 7 * DAY
LINK_LASTS = DAY
FIRST_OWNER = "owner"

MOST_WRONG = 20
WRONG_WITHIN = 15 * MINUTE
"""So many wrong passwords of one name within that time, and none is looked at any more."""
MOST_NAMES = 10_000

_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
RANKS = {Role.VIEWER: 0, Role.MEMBER: 1, Role.OWNER: 2}
"""A role has all that those below it have."""
_ROLES = {KeyScope.OPERATOR: Role.OWNER, KeyScope.PROJECT: Role.MEMBER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody who is logged in, and whose things they reach.

    ``name`` is what the log of changes calls them, ``person_id`` who they are (None: they came with
    a key), ``digest`` which session it is.
    """

    name: str
    role: Role
    scope: Scope
    person_id: int | None
    digest: bytes = field(repr=False)
    expires_at: Micros

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""
        return RANKS[self.role] >= RANKS[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLink:
    """A URL that logs somebody in, once."""

    url: str = field(repr=False)
    expires_at: Micros


class People:
    """Adds people, and logs them in. What a ``scope`` does not reach does not exist."""

    def __init__(
        self, store: Store, accounts: Accounts, clock: Callable[[], Micros], public_url: str
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._public_url = public_url
        self._passwords = Passwords()
        self._wrong: dict[str, list[Micros]] = {}

    # -- who there is --------------------------------------------------------------------------

    async def add(self, scope: Scope, name: str, role: Role, project: str | None) -> Person:
        """Add somebody, for one project (by name) or for all.

        :raises InvalidError: the name cannot be used.
        :raises NotFoundError: there is no such project.
        :raises RefusedError: somebody has this name.
        """
        project_id = await self._project(scope, project)
        return await self._store.add_person(_check_name(name), role, project_id, self._clock())

    async def get(self, scope: Scope, person_id: int) -> Person:
        """Find somebody.

        :raises NotFoundError: there is nobody of this id in the scope.
        """
        found = await self._store.get_person(person_id)
        if scope.project_id not in (None, found.project_id) or scope.account_id is not None:
            raise NotFoundError("person")
        return found

    async def everybody(self, scope: Scope) -> Sequence[Person]:
        """Return the people of a scope, by name."""
        if scope.account_id is not None:
            return []
        found = await self._store.list_people()
        return [each for each in found if scope.project_id in (None, each.project_id)]

    async def change(self, scope: Scope, person_id: int, changes: Mapping[str, Any]) -> Person:
        """Change somebody's ``name``, ``role`` or ``project`` (a name; None: all of them).

        What they may do is new at once, also where they are logged in.

        :raises InvalidError: the name cannot be used.
        :raises NotFoundError: there is no such person or project.
        :raises RefusedError: somebody has this name, or nobody would be left who owns all projects.
        """
        person = await self.get(scope, person_id)
        given = dict(changes)
        if "name" in given:
            given["name"] = _check_name(given["name"])
        if "project" in given:
            given["project_id"] = await self._project(scope, given.pop("project"))
        if not given:
            return person
        return await self._store.change_person(person_id, given, self._clock())

    async def remove(self, scope: Scope, person_id: int) -> None:
        """Remove somebody, who is logged out at once.

        :raises RefusedError: nobody would be left who owns all projects.
        """
        await self.get(scope, person_id)
        await self._store.remove_person(person_id, self._clock())

    async def _project(self, scope: Scope, name: str | None) -> int | None:
        if name is None:
            return scope.project_id
        return (await self._accounts.project(scope, name)).id

    async def set_password(self, person_id: int, password: str) -> None:
        """Give somebody a password; they are logged out everywhere, and links lapse.

        :raises InvalidError: it is too short, too long, or their name.
        """
        person = await self._store.get_person(person_id)
        sealed = await self._passwords.sealed(password, person.name)
        await self._store.change_person(person_id, {"password": sealed}, self._clock())
        await self._store.end_sessions(person_id)

    # -- logging in ----------------------------------------------------------------------------

    async def make_link(self, scope: Scope, person_id: int) -> LoginLink:
        """Make a link that logs somebody in, once and for a day.

        :raises NotFoundError: there is nobody of this id in the scope.
        """
        await self.get(scope, person_id)
        token, expires_at = secrets.token_urlsafe(32), self._clock() + LINK_LASTS
        await self._store.add_login_link(person_id, _digest(token), expires_at)
        return LoginLink(url=f"{self._public_url}/dashboard/login/{token}", expires_at=expires_at)

    async def first_link(self) -> LoginLink | None:
        """Make the first owner where there is nobody yet, and a link that logs them in."""
        if await self._store.list_people():
            return None
        try:
            owner = await self._store.add_person(FIRST_OWNER, Role.OWNER, None, self._clock())
        except RefusedError:  # another machine started at the same time
            return None
        return await self.make_link(Scope(), owner.id)

    async def login(self, name: str, password: str) -> tuple[str, Who]:
        """Log somebody in; return the session's token, and who it is.

        Takes as long for a name that there is as for one that there is not.

        :raises RefusedError: ``login_failed``, or ``too_many_logins`` with this name.
        :raises UnavailableError: too many log in at once.
        """
        folded = name.casefold()
        self._check_wrong(folded)
        try:
            person = await self._store.find_person(name)
        except (NotFoundError, InvalidError):
            person = None
        fits = await self._passwords.fits(password, "" if person is None else person.password)
        if person is None or not fits:
            self._count_wrong(folded)
            raise RefusedError(
                "login_failed", "there is nobody with this name and password", status=401
            )
        self._wrong.pop(folded, None)
        return await self.begin(person)

    async def login_by_key(self, key: str) -> tuple[str, Who]:
        """Log in whoever has an operator's or a project's key.

        :raises RefusedError: ``login_failed``: the key opens nothing here.
        """
        found = await self._store.find_key(_digest(key))
        if found is None or found.scope not in _ROLES:
            raise RefusedError(
                "login_failed", "this is no operator's or project's key in force", status=401
            )
        return await self._begin(None, found)

    async def login_by_link(self, token: str) -> tuple[str, Who]:
        """Log in whoever has a link, and use it up.

        :raises NotFoundError: it was used, is too old, or never was one.
        """
        person = await self._store.take_login_link(_digest(token), self._clock())
        return await self.begin(person)

    async def begin(self, person: Person) -> tuple[str, Who]:
        """Log somebody in who has shown who they are; return the session's token too."""
        return await self._begin(person, None)

    async def _begin(self, person: Person | None, key: ApiKey | None) -> tuple[str, Who]:
        token, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        digest = _digest(token)
        await self._store.add_session(
            digest,
            None if person is None else person.id,
            None if key is None else key.id,
            now,
            now + SESSION_LASTS,
        )
        session = Session(person=person, key=key, expires_at=now + SESSION_LASTS)
        return token, _who(session, digest)

    async def who(self, token: str) -> Who | None:
        """Return who is logged in with a session's token; None: nobody."""
        if not _TOKEN.fullmatch(token):
            return None
        digest = _digest(token)
        session = await self._store.find_session(digest, self._clock())
        return None if session is None else _who(session, digest)

    async def logout(self, who: Who) -> None:
        """End a session."""
        await self._store.end_session(who.digest)

    def _check_wrong(self, folded: str) -> None:
        since = self._clock() - WRONG_WITHIN
        if sum(at > since for at in self._wrong.get(folded, ())) >= MOST_WRONG:
            raise RefusedError(
                "too_many_logins",
                f"{MOST_WRONG} wrong passwords for this name; wait a quarter of an hour, or log in "
                "with a link or a key",
                status=429,
            )

    def _count_wrong(self, folded: str) -> None:
        if len(self._wrong) >= MOST_NAMES:
            self._wrong.clear()
        recent = self._wrong.setdefault(folded, [])
        recent.append(self._clock())
        del recent[:-MOST_WRONG]


def _check_name(name: str) -> str:
    if not name:
        raise InvalidError("invalid_text", "a name has a character at least", pointer="/name")
    return check_text(name, "/name", LONGEST_NAME)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _who(session: Session, digest: bytes) -> Who:
    person, key = session.person, session.key
    if person is not None:
        return Who(
            name=person.name,
            role=person.role,
            scope=Scope(project_id=person.project_id),
            person_id=person.id,
            digest=digest,
            expires_at=session.expires_at,
        )
    if key is None:
        raise NotFoundError("session")
    return Who(
        name=key_name(key),
        role=_ROLES.get(key.scope, Role.VIEWER),
        scope=Scope(project_id=key.project_id, account_id=key.account_id),
        person_id=None,
        digest=digest,
        expires_at=session.expires_at,
    )
