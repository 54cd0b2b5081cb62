"""Login sessions, and the record of failed logins."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import MINUTE, Micros, Scope, Session
from hooktide.domain.throttling.login_throttle import LoginPlace, LoginRecord
from hooktide.store.access.keys import read_key
from hooktide.store.access.users import hold_person, read_user
from hooktide.store.base import LoginEdit
from hooktide.store.journal.audit_log import record_action
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction


class Sessions(Repository):
    """The store's methods for logging in and out."""

    @writes
    async def create_session(
        self,
        tx: Transaction,
        digest: bytes,
        user_id: int | None,
        key_id: int | None,
        now: Micros,
        expires_at: Micros,
        action: Action | None = None,
        password: str = "",
    ) -> None:
        """Log a user or a key in, by the SHA-256 of the session's token.

        ``password`` is the hash of the user's password at the time of the login.

        :raises NotFoundError: the user does not exist, or their password was changed since.
        """
        if user_id is not None:
            user = await hold_person(tx, user_id)
            if password != user.password:
                raise NotFoundError("user with this password")
            await record_action(tx, action, snapshot(user), now)
        if key_id is not None:
            await record_action(tx, action, snapshot(await read_key(tx, Scope(), key_id)), now)
        values = {
            "digest": digest,
            "person_id": user_id,
            "key_id": key_id,
            "now": now,
            "expires_at": expires_at,
        }
        await tx.run("create_session", values)

    async def find_session(self, digest: bytes, now: Micros) -> Session | None:
        """Find a session; None once it has expired, its user is deleted or its key revoked.

        It records when the user was last seen, to the minute.
        """
        found = await self._session(digest, now)
        if found is None or found.user is None or now - (found.user.seen_at or 0) < MINUTE:
            return found
        await self._touch_user(found.user.id, now)
        return replace(found, user=replace(found.user, seen_at=now))

    @reads
    async def _session(self, tx: Transaction, digest: bytes, now: Micros) -> Session | None:
        found = await tx.row("find_session", {"digest": digest, "now": now})
        if found is None:
            return None
        user_id, key_id, expires_at = found
        try:
            if user_id is not None:
                user = await read_user(tx, user_id)
                return Session(user=user, key=None, expires_at=expires_at)
            key = await read_key(tx, Scope(), key_id)
        except NotFoundError:
            return None
        if key.revoked_at is not None:
            return None
        return Session(user=None, key=key, expires_at=expires_at)

    @writes
    async def _touch_user(self, tx: Transaction, user_id: int, now: Micros) -> None:
        await tx.run("touch_user", {"id": user_id, "now": now})

    @writes
    async def edit_login_records(
        self, tx: Transaction, places: Sequence[LoginPlace], edit: LoginEdit
    ) -> None:
        """Replace the records of places by what ``edit`` returns, in the order of ``places``.

        What ``edit`` raises is raised here, and nothing is changed.
        """
        found: dict[bytes, LoginRecord] = {}
        for digest in sorted({place.digest for place in places}):  # in one order: no deadlock
            await tx.run("hold_login_record", {"place": digest})
            found[digest] = LoginRecord(*(await tx.one("place", "login_record", {"place": digest})))
        new = edit([found[place.digest] for place in places])
        for place, record in zip(places, new, strict=True):
            await tx.run("set_login_record", {"place": place.digest, **asdict(record)})

    @writes
    async def end_session(self, tx: Transaction, digest: bytes) -> None:
        """Log out."""
        await tx.run("end_session", {"digest": digest})
