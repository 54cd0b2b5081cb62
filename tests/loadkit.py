"""A load with receivers of every kind, and a check at the end that every event is accounted for.

One account's receivers eventually return 2xx (``/ok``, ``/flaky``, ``/slow``). The other's never do
(``/fail``, ``/hang``): there each delivery fails after exactly the configured number of attempts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import forkkit
from accounting import Ledger, Producer
from apikit import Api
from serverkit import KEY, Server, receiving, set_up, until_none_is

from hooktide.store.base import LEASE

WELL = ("/ok", "/flaky", "/slow")
ILL = ("/fail", "/hang")
OPTIONS = ("--no-log-attempts", "--slots-per-endpoint", "100")
ATTEMPTS = 3
PROJECT = f"""
name = "accounting"
title = "Accounting"
disable_after = 0

[dialect]
standard_headers = true
envelope = "payload"

[retry]
delays = ["1s"]

[plans.patient]
retries = 20

[plans.hasty]
retries = {ATTEMPTS - 1}
timeout = "1s"

[event_types."thing.happened"]
description = "Something happened."
"""


@dataclass
class Customer:
    """An account, its endpoints' secrets by path, and the ledger of its events."""

    account: str
    secrets: dict[str, str]
    ledger: Ledger
    connections: int
    pause: float


@dataclass
class Load:
    """The events of two accounts. ``api`` is the API that reports their deliveries."""

    api: Api
    well: Customer
    ill: Customer
    _producers: list[Producer] = field(default_factory=list)

    @asynccontextmanager
    async def publishing(self, server: Server) -> AsyncIterator[None]:
        """Publish about 200 events per second through this server. On exit, all were answered."""
        for of in (self.well, self.ill):
            self._producers.append(
                Producer(server.port, KEY, of.account, of.ledger, host=server.host, pause=of.pause)
            )
        sizes = (self.well.connections, self.ill.connections)
        tasks = [
            asyncio.create_task(producer.run(size))
            for producer, size in zip(self._producers, sizes, strict=True)
        ]
        try:
            yield
            for producer in self._producers:
                producer.stop.set()
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def accepted(self, more: int, within: float = 60) -> None:
        """Wait until this many more events are accepted."""
        wanted = len(self.well.ledger.acked) + more
        async with asyncio.timeout(within):
            while len(self.well.ledger.acked) < wanted:
                await asyncio.sleep(0.01)

    async def settled(self, within: float) -> None:
        """Wait until no delivery is pending."""
        await until_none_is(self.api, "pending", within)

    async def check(self) -> None:
        """Assert that every event arrived, and that the API reports it as delivered or failed."""
        self.well.ledger.check(self.well.secrets)
        self.ill.ledger.check(self.ill.secrets, failing=ILL)
        for state in ("held", "discarded"):
            assert await self._listed(state) == []
        ended = await self._listed("failed")
        assert {item["account"] for item in ended} <= {self.ill.account}
        assert {item["attempts"] for item in ended} <= {ATTEMPTS}
        assert len(ended) == len(ILL) * len(self.ill.ledger.acked)

    async def _listed(self, state: str) -> list[Any]:
        items: list[Any] = []
        cursor = ""
        while True:
            page = await self.api.get(f"/v1/deliveries?state={state}&limit=100{cursor}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    @property
    def told(self) -> str:
        """A summary of the run in numbers."""
        well, ill = self.well.ledger, self.ill.ledger
        return (
            f"{len(well.acked) + len(ill.acked)} accepted, 0 lost, {well.duplicates} sent again, "
            f"{well.unknown + ill.unknown} without an answer, {well.refused + ill.refused} refused"
        )


@asynccontextmanager
async def loading(server: Server, host: str = "127.0.0.1") -> AsyncIterator[Load]:
    """Run the receivers at this address, and create the accounts and endpoints."""
    well, ill = Ledger(), Ledger(hanging={"/hang"})
    async with receiving(well, host) as first, receiving(ill, host) as second:
        made = await set_up(
            server.api, first, WELL, reference="well", project=PROJECT, plan="patient", host=host
        )
        patient = Customer(*made, well, connections=4, pause=0.02)
        made = await set_up(
            server.api, second, ILL, reference="ill", project=PROJECT, plan="hasty", host=host
        )
        hasty = Customer(*made, ill, connections=1, pause=0.4)
        yield Load(server.api, patient, hasty)


async def end_leases(url: str) -> None:
    """Expire the leases of all claims, as waiting a minute would."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "UPDATE hooktide.queue SET due_at = due_at - $1 WHERE claim <> 0", LEASE
        )
    finally:
        await connection.close()


async def audited(database: str) -> str:
    """Run ``hooktide audit`` until it finds nothing broken, and return its output."""
    code, said = await forkkit.run("audit", "--database", database)
    assert code == 0, said
    return said
