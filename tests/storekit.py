"""What a store test starts from: a project, an account, an endpoint, and shortcuts."""

import asyncio
import dataclasses
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apsw
import asyncpg
from sqlitekit import prepare

from hooktide import store as store_package
from hooktide.dialects import load
from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import Verdict
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import (
    MINUTE,
    SECOND,
    Account,
    Attempt,
    Claim,
    Endpoint,
    Micros,
    Scope,
    Secret,
)
from hooktide.domain.project.project import EventType
from hooktide.runtime.vault import Vault
from hooktide.store.base import Accepted, AttemptRecord, Capacity, NewEvent
from hooktide.store.contract import Store
from hooktide.store.postgres import open_postgres
from hooktide.store.sqlite import open_sqlite

T = TypeVar("T")

NOON: Micros = 1_767_268_800 * SECOND
LEASE = MINUTE
KEY = b"k" * 32
TERMINATE_SESSIONS = """SELECT count(pg_terminate_backend(pid)) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Ends the connections that listen, with the locks that say that their processes are there."""


async def until(true: Callable[[], object], within: float = 30) -> None:
    """Wait until a condition becomes true."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.005)


async def at_last(ask: Callable[[], Awaitable[T]], within: float = 30) -> T:
    """Retry a call while the database is unavailable, as callers do."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await ask()
            except UnavailableError:
                await asyncio.sleep(0.01)


@dataclass
class Hand:
    """A listener that records notifications. Its capacity for deliveries is ``takes``."""

    takes: int = 0
    claims: list[Claim] = field(default_factory=list)
    hints: dict[int, Micros] = field(default_factory=dict)
    changes: list[tuple[str, int]] = field(default_factory=list)

    def capacity(self) -> Capacity:
        return Capacity(self.takes, 1 << 30)

    def handed_over(self, claims: Sequence[Claim]) -> None:
        self.claims.extend(claims)

    def due(self, hints: Mapping[int, Micros]) -> None:
        self.hints.update(hints)

    def changed(self, kind: str, number: int) -> None:
        self.changes.append((kind, number))

    async def heard(self, kind: str, number: int) -> None:
        """Wait until it was notified of this change."""
        await until(lambda: (kind, number) in self.changes)


@dataclass(frozen=True)
class Place:
    """Where a database is: a file's path, or a URL.

    ``direct`` is the URL that bypasses the pooler, if ``url`` goes through one.
    """

    url: str
    direct: str = ""

    @property
    def is_file(self) -> bool:
        return "://" not in self.url

    async def open(self, key: bytes = KEY, **more: Any) -> Store:
        """Open a store on the database, several at a time if this kind of database allows it."""
        if self.is_file:
            prepare(self.url)
            return open_sqlite(self.url, Vault(key), NOON)
        return await open_postgres(self.url, Vault(key), NOON, direct=self.direct, **more)

    async def migrate_again(self, name: str, after: str) -> None:
        """Run a migration once more, after another statement (``{schema}`` before its tables).

        No server has the database open, if it is a file.
        """
        folder = Path(store_package.__file__).parent / ("sqlite" if self.is_file else "postgres")
        text = (folder / "migrations" / f"{name}.sql").read_text()
        if self.is_file:
            db = apsw.Connection(self.url)
            db.execute(after.format(schema="") + ";" + text)
            db.close()
            return
        connection = await asyncpg.connect(self.direct or self.url)
        await connection.execute(after.format(schema="hooktide.") + ";" + text)
        await connection.close()

    async def refuse(self, table: str, where: str) -> None:
        """Make the database refuse writes to those rows of a table that match ``where``.

        ``where`` refers to the row as ``NEW``. A SQLite file must not be open in a server.
        """
        if self.is_file:
            db = apsw.Connection(self.url)
            for what in ("INSERT", "UPDATE"):
                db.execute(
                    f"CREATE TRIGGER refuse_{what} BEFORE {what} ON {table} WHEN {where} "
                    "BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
                )
            db.close()
            return
        connection = await asyncpg.connect(self.direct or self.url)
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'refused by a test'; END $$;"
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON hooktide.{table} FOR EACH ROW "
            f"WHEN ({where}) EXECUTE FUNCTION refuse()"
        )
        await connection.close()

    async def raw(self) -> bytes:
        """Return everything that is stored, as text or as the bytes on disk."""
        if self.is_file:
            return b"".join(file.read_bytes() for file in Path(self.url).parent.iterdir())
        connection = await asyncpg.connect(self.direct or self.url)
        try:
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'hooktide'"
            found = [
                await connection.fetch(f"SELECT t::text FROM hooktide.{name} AS t")
                for (name,) in await connection.fetch(tables)
            ]
        finally:
            await connection.close()
        texts = [row[0] for rows in found for row in rows]
        blobs = [
            bytes.fromhex(one) for text in texts for one in re.findall(r"\\x([0-9a-f]+)", text)
        ]
        return "\n".join(texts).encode() + b"\n".join(blobs)


@dataclass
class Given:
    """A store with one project, account and endpoint, and shortcuts for tests."""

    place: Place
    hand: Hand = field(default_factory=Hand)
    store: Store = field(default=None)  # type: ignore[assignment]  # set by open()
    opened: bool = False
    project_id: int = 0
    account: Account = field(default=None)  # type: ignore[assignment]  # set by begin()
    endpoint: Endpoint = field(default=None)  # type: ignore[assignment]  # set by begin()

    async def open(self, key: bytes = KEY, *, listens: bool = True, **more: Any) -> None:
        self.store = await self.place.open(key, **more)
        self.opened = True
        if listens:
            self.store.listen(self.hand)
        self.store.watch(self.hand.changed)

    def another(self) -> "Given":
        """Return another process on the same database, which is not open yet."""
        return dataclasses.replace(self, hand=Hand(), opened=False)

    async def close(self) -> None:
        if self.opened:
            self.opened = False
            await self.store.close()

    async def reopen(self, key: bytes = KEY) -> None:
        """Close the store as a stopping server does, and open it again."""
        await self.close()
        await self.open(key)

    async def refuse(self, table: str, where: str) -> None:
        """Make the database refuse some writes (see ``Place.refuse``), also after reopening."""
        if self.place.is_file:
            await self.close()
        await self.place.refuse(table, where)
        if self.place.is_file:
            await self.open()

    async def raw(self) -> bytes:
        """Close the store, and return everything that is stored."""
        await self.close()
        return await self.place.raw()

    async def set_plan(self, disable_after: int = 3, **plan: Any) -> None:
        project = load("standard-webhooks")
        known = dataclasses.replace(project.plans[0], name="test", **plan)
        types = {kind.name: kind for kind in project.event_types}
        for name in ("invoice.paid", "invoice.sent"):
            types.setdefault(name, EventType(name=name))
        project = dataclasses.replace(
            project,
            event_types=tuple(types.values()),
            plans=(known,),
            default_plan="test",
            disable_after=disable_after,
        )
        self.project_id = (await self.store.put_project(project, NOON)).id

    async def begin(self) -> None:
        await self.set_plan(endpoints=None, deliveries_per_hour=None)
        self.account = await self.store.create_account(self.project_id, "acme", "", "test", NOON)
        self.endpoint = await self.create_endpoint()

    async def another_account(self, url: str) -> Account:
        account = await self.store.create_account(self.project_id, url, "", "test", NOON)
        await self.create_endpoint(url=url, account=account)
        return account

    async def create_endpoint(
        self,
        *types: str,
        limit: int | None = None,
        url: str = "https://receiver.example.com/hook",
        account: Account | None = None,
    ) -> Endpoint:
        new = Endpoint(
            id=0,
            project_id=self.project_id,
            account_id=(account or self.account).id,
            url=url,
            event_types=types or ("*",),
            created_at=0,
            updated_at=0,
        )
        secret = Secret("ab" * 32, b"\xab" * 32)
        return await self.store.create_endpoint(new, secret, limit, NOON)

    def event(self, type_: str = "invoice.paid", **more: Any) -> NewEvent:
        values = {
            "project_id": self.project_id,
            "account_id": self.account.id,
            "type": type_,
            "payload": b'{"total":1.10}',
            **more,
        }
        return NewEvent(**values)

    async def publish(self, *events: NewEvent, now: Micros = NOON) -> list[Accepted]:
        added = await self.store.add_events(events or (self.event(),), now)
        return [item for item in added if isinstance(item, Accepted)]

    async def claim(self, now: Micros = NOON, each: int = 100) -> list[Claim]:
        return list(await self.store.claim_due([self.endpoint.id], now, LEASE, each))

    async def record(
        self,
        claim: Claim,
        verdict: Verdict,
        status: int | None = 200,
        at: Micros = NOON,
        rest: RestRequest | None = None,
        head: bytes = b"HTTP/1.1 200 OK\r\n\r\n",
    ) -> None:
        self.store.record(
            AttemptRecord(claim, self.attempt(claim, status, at, head), verdict, rest)
        )
        await self.store.recorded()

    def attempt(
        self,
        claim: Claim,
        status: int | None = 200,
        at: Micros = NOON,
        head: bytes = b"HTTP/1.1 200 OK\r\n\r\n",
    ) -> Attempt:
        return Attempt(
            delivery_id=claim.delivery_id,
            number=claim.attempt,
            started_at=at,
            duration=5000,
            status=status,
            error="" if status else "timeout",
            detail="",
            request_head=b"POST / HTTP/1.1\r\n\r\n",
            response_head=head,
            response_body=b"ok",
            response_truncated=False,
        )

    async def state(self, claim: Claim) -> str:
        return (await self.store.get_delivery(Scope(), claim.delivery_id)).state.value
