"""An application with an outbox in its own database, for the outbox tests."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forkkit
import msgspec
from apikit import ApiError
from serverkit import KEY, Server
from sqlalchemy import Engine, Integer, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hooktide.outbox.relay import Answer, NotYet
from hooktide.sqlalchemy import outbox

HERE = Path(__file__).parent


class Base(DeclarativeBase):
    """The application's tables."""


class Invoice(Base):
    """The object that events are published for."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    paid: Mapped[bool] = mapped_column(default=False)


outbox.to_metadata(Base.metadata)


def sync_url(url: str) -> str:
    """Return a database's URL for SQLAlchemy's synchronous engines."""
    if "://" in url:
        return url.replace("postgresql://", "postgresql+psycopg://")
    return f"sqlite:///{url}"


def async_url(url: str) -> str:
    """Return a database's URL for SQLAlchemy's asynchronous engines."""
    return sync_url(url).replace("+psycopg", "+asyncpg").replace("sqlite:", "sqlite+aiosqlite:")


@contextmanager
def engine_on(url: str) -> Iterator[Engine]:
    """Open a database, and create its tables if they do not exist."""
    engine = create_engine(sync_url(url))
    try:
        Base.metadata.create_all(engine)
        yield engine
    finally:
        engine.dispose()


def kept(engine: Engine) -> list[Any]:
    """Return the rows in the outbox, in order."""
    with Session(engine) as session:
        return list(session.execute(select(outbox).order_by(outbox.c.id)).mappings())


@dataclass
class Hooktide:
    """Accepts events from a relay as Hooktide does. A repeated key gets the original response."""

    payloads: dict[str, Any] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    refuse: dict[Any, str | NotYet] = field(default_factory=dict)

    async def send(self, bodies: Sequence[bytes]) -> list[Answer]:
        self.asked.append(len(bodies))
        return [self._take(msgspec.json.decode(body)) for body in bodies]

    def _take(self, event: dict[str, Any]) -> Answer:
        if (reason := self.refuse.get(event["payload"].get("id"))) is not None:
            return reason
        self.payloads.setdefault(event["idempotency_key"], event["payload"])
        return None

    @property
    def ids(self) -> list[Any]:
        """The accepted payloads' ids, in order."""
        return [payload["id"] for payload in self.payloads.values()]


async def first_answer(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call until a server that is starting responds."""
    while True:
        try:
            return await ask()
        except ApiError:
            await asyncio.sleep(0.05)


async def start(program: str, *args: str, direct: str = "") -> Process:
    """Start one of the programs in ``tests/programs``. For ``direct``, see ``emit``."""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))
    return await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "programs" / program), *args,
        stdout=PIPE, stderr=STDOUT, env=os.environ | {"PYTHONPATH": path, "DIRECT": direct},
    )  # fmt: skip


async def start_relay(url: str, server: Server, *options: str) -> forkkit.Process:
    """Start ``hooktide relay``."""
    where = f"http://127.0.0.1:{server.port}"
    command = ("relay", "--from", url, "--poll", "0.02", "--server", where, *options)
    return await forkkit.start(*command, env={"HOOKTIDE_OPERATOR_KEY": KEY})


async def accepted(server: Server, account: str) -> list[int]:
    """Return the ids in the payloads of an account's events, in the order of acceptance."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await server.api.get(f"/v1/events?account={account}&limit=100{cursor}")
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    ids = []
    for event in reversed(found):
        ids.append((await server.api.get(f"/v1/events/{event}"))["payload"]["id"])
    return ids
