"""A worker is suspended (SIGSTOP) past its leases, and wakes after another took over.

Its late failure changes nothing, but its late 2xx counts. ``HOOKTIDE_STANDSTILL`` is how many
seconds it is suspended: 65 in ``make faults``, longer than a lease. The default is 0: then its
leases are ended in the database.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apikit import Api
from loadkit import OPTIONS, audited, end_leases, loading
from postgreskit import database
from serverkit import Server, event, serving, set_up

STANDSTILL = float(os.environ.get("HOOKTIDE_STANDSTILL", "0"))
TIMEOUT = 120.0
LOST = "lost the lease of delivery"
PROJECT = """
name = "accounting"
title = "Accounting"

[dialect]
standard_headers = true
envelope = "payload"

[retry]
delays = ["1s"]

[plans.slow]
timeout = "30s"

[event_types."thing.happened"]
description = "Something happened."
"""


@dataclass
class Desk:
    """A receiver whose requests wait until a test answers them."""

    waiting: list[asyncio.StreamWriter] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:-1])
        await reader.readexactly(int(headers[b"content-length"]))
        self.headers.append(headers)
        self.waiting.append(writer)

    def answer(self, number: int, status: bytes) -> None:
        writer = self.waiting[number]
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()


@dataclass
class Scene:
    """A delivery with two attempts in flight: by a suspended worker, and by one that took over."""

    api: Api
    desk: Desk
    still: Server
    other: Server
    delivery: str
    database: str

    async def state(self) -> str:
        return str((await self.api.get(f"/v1/deliveries/{self.delivery}"))["state"])

    async def attempts(self) -> list[tuple[int, int]]:
        found = await self.api.get(f"/v1/deliveries/{self.delivery}/attempts")
        return [(item["number"], item["status"]) for item in found["items"]]

    async def until_attempts(self, wanted: list[tuple[int, int]]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while await self.attempts() != wanted:
                await asyncio.sleep(0.02)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not true():
            await asyncio.sleep(0.02)


def told_of_a_lost_lease(server: Server) -> bool:
    return LOST in server.log.read_text()


@asynccontextmanager
async def two_workers(tmp_path: Path, url: str) -> AsyncIterator[tuple[Server, Server, Server]]:
    """Run an API and two workers."""
    async with (
        serving(tmp_path, "--role", "api", *OPTIONS, database=url, name="api") as api,
        serving(tmp_path, "--role", "worker", *OPTIONS, database=url, name="one") as one,
        serving(tmp_path, "--role", "worker", *OPTIONS, database=url, name="two") as two,
    ):
        yield api, one, two


async def pass_leases(url: str, standstill: float) -> None:
    """End the leases of the suspended worker."""
    if standstill:
        await asyncio.sleep(standstill)
    else:
        await end_leases(url)


async def sends(one: Server, two: Server) -> tuple[Server, Server]:
    """Return the worker that has a request in flight, and the other one."""
    return (one, two) if await one.metric("hooktide_in_flight") else (two, one)


@asynccontextmanager
async def taken_over(tmp_path: Path, standstill: float) -> AsyncIterator[Scene]:
    """Suspend a worker during an attempt until another worker makes the same attempt.

    ``standstill`` is in seconds. It has to be shorter than a timeout if the response is read
    afterwards.
    """
    desk = Desk()
    receiver = await asyncio.start_server(desk.take, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    async with database() as url, two_workers(tmp_path, url) as (api, one, two):
        account, _ = await set_up(api.api, port, ("/",), project=PROJECT)
        made = await api.api.post("/v1/events", event(account))
        await until(lambda: len(desk.waiting) == 1)
        still, other = await sends(one, two)
        still.signal(signal.SIGSTOP)
        await pass_leases(url, standstill)
        await until(lambda: len(desk.waiting) == 2)
        [item] = (await api.api.get(f"/v1/deliveries?event={made['id']}"))["items"]
        yield Scene(api.api, desk, still, other, item["id"], url)
        ids = {headers[b"webhook-id"].decode() for headers in desk.headers}
        assert ids == {made["id"]}
        await audited(url)
    receiver.close()


async def test_its_late_failure_changes_nothing(tmp_path: Path) -> None:
    async with taken_over(tmp_path, STANDSTILL) as scene:
        scene.desk.answer(0, b"500 Oops")
        scene.still.signal(signal.SIGCONT)
        await until(lambda: told_of_a_lost_lease(scene.still))
        assert (await scene.state(), await scene.attempts()) == ("pending", [])
        scene.desk.answer(1, b"200 OK")
        await scene.until_attempts([(1, 200)])
        assert await scene.state() == "delivered"
        assert len(scene.desk.waiting) == 2


async def test_its_late_success_is_one_more_attempt_and_nothing_takes_it_back(
    tmp_path: Path,
) -> None:
    async with taken_over(tmp_path, standstill=0) as scene:
        scene.desk.answer(1, b"500 Oops")
        await until(lambda: len(scene.desk.waiting) == 3)
        scene.desk.answer(0, b"200 OK")
        scene.still.signal(signal.SIGCONT)
        await scene.until_attempts([(1, 500), (2, 200)])
        scene.desk.answer(2, b"500 Oops")
        await until(lambda: told_of_a_lost_lease(scene.other))
        assert await scene.state() == "delivered"
        assert await scene.attempts() == [(1, 500), (2, 200)]


async def test_a_worker_that_stands_still_under_load_and_goes_on_loses_nothing(
    tmp_path: Path,
) -> None:
    async with (
        database() as url,
        two_workers(tmp_path, url) as (api, one, _),
        loading(api) as load,
    ):
        async with load.publishing(api):
            await load.accepted(100)
            one.signal(signal.SIGSTOP)
            await load.accepted(50)
            await pass_leases(url, STANDSTILL)
            await load.accepted(100)
            one.signal(signal.SIGCONT)
            await load.accepted(100)
        await load.settled(within=150)
        for ledger in (load.well.ledger, load.ill.ledger):
            assert (ledger.unknown, ledger.refused) == (0, 0)
        await load.check()
        print(f"\na worker stood still: {load.told}", await audited(url), sep="\n")
