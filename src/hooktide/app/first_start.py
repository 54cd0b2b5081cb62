"""An operator's first access: the operator key, given or created, and the first login link."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from hooktide.actions.access.users import Users
from hooktide.actions.accounts import Accounts
from hooktide.domain.audit_log import SERVER
from hooktide.domain.errors import ConfigError, RefusedError
from hooktide.domain.model import KeyScope, Micros, Scope
from hooktide.runtime.background import start_in
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.web.auth import new_key

MIN_KEY_LENGTH = 24
GIVEN_KEY_REVOKED = (
    "the key in HOOKTIDE_OPERATOR_KEY was revoked and is not accepted; set another one and restart"
)

log = structlog.get_logger("hooktide")


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start with a database created: an operator key, and a link that logs in
    once."""

    operator_key: str | None = field(repr=False)
    login_link: str | None = field(repr=False)

    def lines(self) -> list[str]:
        """Return what to show an operator, once."""
        lines = []
        if self.operator_key:
            lines.append(f"operator key (shown once, keep it): {self.operator_key}")
        if self.login_link:
            lines.append(f"log in to the dashboard (once, within a day): {self.login_link}")
        return lines


class OperatorKey:
    """The operator key: the one in the settings, or the one created at the first start.

    ``is_revoked``: the one in the settings was revoked.
    """

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self.is_revoked = False
        self._store = store
        self._clock = clock
        self._given: bytes | None = None
        self._checking: set[asyncio.Task[None]] = set()

    async def keep(self, given: str) -> None:
        """Store the key from the settings as an operator key, unless it was revoked.

        :raises ConfigError: it is too short.
        """
        if len(given) < MIN_KEY_LENGTH:
            raise ConfigError(
                f"the operator key grants full access: give {MIN_KEY_LENGTH} characters or more",
                key="HOOKTIDE_OPERATOR_KEY",
            )
        digest = hashlib.sha256(given.encode()).digest()
        self._given = digest
        if await self._store.find_key(digest) is not None:
            return
        made = new_key(KeyScope.OPERATOR, "from the settings", self._clock(), text=given)
        with suppress(RefusedError):  # another machine started at the same time, or it was revoked
            await self._store.create_key(made[1], digest, SERVER.does("key.create"))
        await self._check(digest)

    async def make(self) -> str | None:
        """Create a key if there is none, or return ``None``."""
        page = await self._store.list_keys(Scope(), None, 1)
        if page.items:
            return None
        text, key, digest = new_key(KeyScope.OPERATOR, "first start", self._clock())
        await self._store.create_key(key, digest, SERVER.does("key.create"))
        return text

    def changed(self, kind: str, _: int) -> None:
        """Check the given key again: a key has changed."""
        if kind == "key" and self._given is not None:
            start_in(self._checking, self._check(self._given), "check the key from the settings")

    async def _check(self, digest: bytes) -> None:
        """Warn if the key from the settings is not valid.

        It does not stop the process: the key may have been revoked because it was stolen.
        """
        self.is_revoked = await self._store.find_key(digest) is None
        if self.is_revoked:
            log.error(GIVEN_KEY_REVOKED)


async def first_login_link(
    store: Store, directory: Directory, clock: Callable[[], Micros], public_url: str
) -> str | None:
    """Return a link that logs in the first owner, once, or ``None`` if there are users already."""
    link = await Users(store, Accounts(store, directory, clock), clock, public_url).first_link()
    return None if link is None else link.url
