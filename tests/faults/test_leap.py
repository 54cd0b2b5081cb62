"""The wall clock jumps a day forward and back while retries are pending: nothing is lost."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from accounting import Arrived, Ledger
from leapkit import DAY, WallClock, library
from loadkit import audited
from postgreskit import cluster, database, temporary_folder
from serverkit import KEY, Server, event, receiving, serving, set_up, until_none_is
from standardwebhooks import Webhook

from hooktide import AsyncClient
from hooktide.domain.model import SECOND
from hooktide.store.base import LEASE
from hooktide.store.postgres.processes import nodes

pytestmark = pytest.mark.skipif(library() is None, reason="needs libfaketime")

DELAY = 3.0
ATTEMPT_TIMEOUT = 3.0
EARLIEST = DELAY / 2
"""Seconds between an answer and the retry at least, as this process sees it. Less than what is
promised, because it may be slow to see; a retry that the leap makes due comes at once."""
TIMEOUT = 120.0 + 2 * LEASE / SECOND
"""The last look for what a clock of before the leap dated is two leases after it."""
SIGNED_TIMEOUT = 600.0
EVENTS = 20
FEW = 5
PROJECT = f"""
name = "accounting"
title = "Accounting"
disable_after = 0

[dialect]
standard_headers = true
envelope = "payload"

[retry]
delays = ["{DELAY:.0f}s"]

[plans.all]
retries = 20
timeout = "{ATTEMPT_TIMEOUT:.0f}s"

[event_types."thing.happened"]
description = "Something happened."
"""


PATIENT = PROJECT.replace(f'timeout = "{ATTEMPT_TIMEOUT:.0f}s"', 'timeout = "30s"')


@dataclass
class Story:
    """Deliveries that fail repeatedly, and occasionally one that succeeds."""

    server: Server
    failing: str
    fine: str
    arrived: Ledger
    fresh: set[str] = field(default_factory=set)

    async def fails(self, count: int = EVENTS) -> None:
        """Publish events that fail 21 times, which takes a minute on a fast machine."""
        self.fresh = await self.publish(self.failing, count)
        async with asyncio.timeout(TIMEOUT):
            while not self.fresh <= self.times("/fail").keys():
                await asyncio.sleep(0.02)

    async def publish(self, account: str, count: int) -> set[str]:
        made = [await self.server.api.post("/v1/events", event(account)) for _ in range(count)]
        return {item["id"] for item in made}

    def times(self, path: str) -> dict[str, list[Arrived]]:
        """Return what arrived at a path, by event."""
        found: dict[str, list[Arrived]] = {}
        for item in self.arrived.arrived:
            if item.endpoint == path:
                found.setdefault(item.event_id, []).append(item)
        return found

    async def tried_again(self, signed: int = 0) -> None:
        """Return when each new event was retried, and assert how many days ahead it is signed."""
        before = Counter({event_id: len(items) for event_id, items in self.times("/fail").items()})
        async with asyncio.timeout(TIMEOUT):
            while not self._tried_since(before):
                await asyncio.sleep(0.05)
        now = time.time() + signed * DAY
        for items in map(self.times("/fail").__getitem__, self.fresh):
            assert abs(int(items[-1].headers["webhook-timestamp"]) - now) < SIGNED_TIMEOUT

    def _tried_since(self, before: Counter[str]) -> bool:
        now = self.times("/fail")
        return all(len(now[id_]) > before[id_] for id_ in self.fresh)

    async def delivers(self) -> None:
        """Assert that an event that is accepted now is delivered now."""
        ids = await self.publish(self.fine, 2)
        async with asyncio.timeout(TIMEOUT):
            while not ids <= {e for _, e in self.arrived.answered_ok}:
                await asyncio.sleep(0.02)

    def check_gaps(self, forward: int) -> None:
        """Assert that nothing was retried immediately, except once for each step ``forward``."""
        for path, least in (("/fail", EARLIEST), ("/hang", EARLIEST + ATTEMPT_TIMEOUT)):
            for items in self.times(path).values():
                gaps = [later.at - item.at for item, later in itertools.pairwise(items)]
                assert sum(gap < least for gap in gaps) <= forward, (path, gaps)

    def check_signatures(self, secrets: dict[str, str]) -> None:
        """Assert that every signature matches its timestamp."""
        for item in self.arrived.arrived:
            at = datetime.fromtimestamp(int(item.headers["webhook-timestamp"]), UTC)
            signed = Webhook(secrets[item.endpoint]).sign(item.event_id, at, item.body.decode())
            assert item.headers["webhook-signature"] == signed

    async def check_timeouts(self) -> None:
        """Assert that attempts without a response lasted as long as their timeout.

        An endpoint that does not answer has few slots, so they may come one after the other.
        """
        async with asyncio.timeout(TIMEOUT):
            while len(lasted := await self._timed_out()) < EVENTS:
                await asyncio.sleep(0.5)
        assert min(lasted) >= ATTEMPT_TIMEOUT * 1000 - 50
        assert max(lasted) < TIMEOUT * 1000

    async def _timed_out(self) -> list[float]:
        """Return the duration in milliseconds of each attempt without a response."""
        found = await self.server.api.get("/v1/deliveries?state=pending&limit=100")
        lasted = []
        for item in found["items"]:
            path = f"/v1/deliveries/{item['id']}/attempts"
            made = (await self.server.api.get(path))["items"]
            lasted += [one["duration_ms"] for one in made if one["error"] == "timeout"]
        return lasted


@asynccontextmanager
async def telling(server: Server, forward: int) -> AsyncIterator[Story]:
    """Let everything fail for the first time. ``forward`` is how often the clock will be set."""
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as port:
        failing, secrets = await set_up(server.api, port, ("/fail", "/hang"), project=PROJECT)
        fine, more = await set_up(server.api, port, ("/ok",), reference="fine", project=PROJECT)
        story = Story(server, failing, fine, ledger)
        await story.fails()
        yield story
        story.check_gaps(forward)
        story.check_signatures(secrets | more)
        await story.check_timeouts()


@pytest.fixture(params=["sqlite", "postgres"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return a database's URL or path."""
    if request.param == "sqlite":
        yield str(tmp_path / "hooktide.db")
        return
    async with database() as url:
        yield url


async def test_a_leap_of_a_servers_wall_clock_makes_one_retry_early_and_stops_nothing(
    tmp_path: Path, where: str
) -> None:
    wall = WallClock(tmp_path)
    async with serving(tmp_path, database=where, under=wall.under) as server:
        forward = int(not where.startswith("postgres"))  # PostgreSQL's own clock does not leap
        async with telling(server, forward) as story:
            await story.tried_again()
            for days in (1, 0, -1):
                await story.fails(FEW)
                wall.leap(days)
                await story.delivers()
                await story.tried_again(signed=days)
        await audited(where)


async def keyed_event(server: Server, account: str, key: str) -> str:
    """Publish an event under an idempotency key; return its id."""
    async with AsyncClient(f"http://127.0.0.1:{server.port}", KEY) as client:
        made = await client.publish(account, "thing.happened", {}, idempotency_key=key)
    return made.id


async def test_a_start_with_a_clock_that_is_ahead_deletes_nothing_and_delays_nothing(
    tmp_path: Path,
) -> None:
    """After one start 40 days ahead, the log, keys and retries are as before."""
    wall, path, ledger = WallClock(tmp_path), str(tmp_path / "hooktide.db"), Ledger()
    keyed: dict[str, str] = {}
    async with receiving(ledger) as port:
        async with serving(tmp_path, database=path, under=wall.under) as server:
            account, _ = await set_up(server.api, port, ("/ok",), project=PROJECT)
            for key in map(str, range(EVENTS)):
                keyed[key] = await keyed_event(server, account, key)
            await until_none_is(server.api, "pending")
            failing, _ = await set_up(
                server.api, port, ("/fail",), reference="failing", project=PROJECT
            )
        wall.leap(40)
        async with serving(tmp_path, database=path, under=wall.under) as server:
            waiting = await server.api.post("/v1/events", event(failing))
            async with asyncio.timeout(TIMEOUT):
                while not await server.metric("hooktide_retention_paused"):
                    await asyncio.sleep(0.1)
                while not any(item.event_id == waiting["id"] for item in ledger.arrived):
                    await asyncio.sleep(0.02)
        wall.leap(0)
        before = len(ledger.arrived)
        async with serving(tmp_path, database=path, under=wall.under) as server:
            async with asyncio.timeout(TIMEOUT):
                while len(ledger.arrived) == before:
                    await asyncio.sleep(0.02)
            for key, event_id in keyed.items():
                assert await keyed_event(server, account, key) == event_id
    await audited(path)


async def until_heard(url: str, days: int) -> None:
    """Wait until the server has learned how many days ahead the database's clock is."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                [free_at] = await connection.fetchrow("SELECT max(free_at) FROM hooktide.nodes")
                heard = (free_at - nodes.NODE_RETENTION) / SECOND - time.time()
                if abs(heard - days * DAY) < SIGNED_TIMEOUT:
                    return
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def test_a_leap_of_the_databases_clock_makes_one_retry_early_and_stops_nothing(
    tmp_path: Path,
) -> None:
    with temporary_folder() as folder:
        wall = WallClock(folder)
        with cluster(wall.under) as postgres:
            async with database(postgres) as url, serving(tmp_path, database=url) as server:
                async with telling(server, forward=1) as story:
                    await story.tried_again()
                    for days in (1, -1):
                        await story.fails(FEW)
                        wall.leap(days)
                        await until_heard(url, days)
                        await story.delivers()
                        await story.tried_again()
                await audited(url)


async def test_workers_with_other_wall_clocks_take_no_claim_from_each_other(tmp_path: Path) -> None:
    ledger, wall = Ledger(hanging={"/hang"}), WallClock(tmp_path)
    async with (
        database() as url,
        receiving(ledger) as port,
        serving(tmp_path, "--role", "api", database=url, name="api") as api,
        serving(tmp_path, "--role", "worker", database=url, name="true"),
    ):
        account, _ = await set_up(api.api, port, ("/hang",), project=PATIENT)
        other, _ = await set_up(api.api, port, ("/ok",), reference="other", project=PATIENT)
        held = await api.api.post("/v1/events", event(account))
        ledger.acked[held["id"]] = b"{}"
        async with asyncio.timeout(TIMEOUT):
            while not ledger.arrived:
                await asyncio.sleep(0.02)
        for days in (1, -1):
            wall.leap(days)
            async with (
                serving(
                    tmp_path, "--role", "worker", database=url, name=f"{days}", under=wall.under
                ) as worker,
                asyncio.timeout(TIMEOUT),
            ):
                while not await worker.metric("hooktide_attempts_total"):
                    await api.api.post("/v1/events", event(other))
                    await asyncio.sleep(0.02)
                await worker.stop()
        requests = ledger.arrived_at("/hang")
        [ended] = [
            item["attempts"]
            for item in (await api.api.get("/v1/deliveries?state=pending&limit=100"))["items"]
            if item["event"] == held["id"]
        ]
        assert len(requests) <= ended + 1  # none began before the one before it had ended
        ledger.let_go()
        await until_none_is(api.api, "pending")
        await audited(url)
