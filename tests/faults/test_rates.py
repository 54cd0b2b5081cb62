"""A rate holds over two processes, one of which is killed and started again and again.

``HOOKTIDE_RATE_SECONDS`` says for how long: 25 by default, ``make faults`` has 600. A receiver
counts the requests as they arrive.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from accounting import Ledger
from loadkit import audited
from postgreskit import database
from serverkit import Server, event, receiving, serving, set_up

SECONDS = int(os.environ.get("HOOKTIDE_RATE_SECONDS", "25"))
RATE = 60
WINDOW = 10.0
BACK_WITHIN = 3.0
"""Seconds within which what a dead process would have sent is sent by others."""
PATH = "/paced"


def most_within(times: Sequence[float], window: float) -> int:
    """Return the most requests that arrived within any span."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def fewest_within(times: Sequence[float], window: float, since: float, until: float) -> int:
    """Return the fewest requests that arrived within a span, of those that begin each second."""
    starts = [since + n for n in range(int(until - since - window) + 1)]
    return min(sum(start <= at < start + window for at in times) for start in starts)


@asynccontextmanager
async def killed_again_and_again(server: Server) -> AsyncIterator[list[float]]:
    """Kill a server and start it again, some seconds each; gives when it was killed."""
    kills: list[float] = []
    chance = random.Random(16)

    async def kill() -> None:
        while True:
            await asyncio.sleep(chance.uniform(3, 7))
            kills.append(asyncio.get_running_loop().time())
            await server.kill()
            await asyncio.sleep(chance.uniform(0, 3))
            await server.start()

    task = asyncio.create_task(kill())
    try:
        yield kills
    finally:
        task.cancel()
        await asyncio.wait([task])


async def publish(api: Server, account: str, count: int) -> None:
    for first in range(0, count, 100):
        numbers = range(first, min(first + 100, count))
        await api.api.post("/v1/events", [event(account, {"n": n}) for n in numbers])


async def test_a_rate_holds_while_one_of_two_processes_dies_again_and_again(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, database=url, name="first") as first,
        serving(tmp_path, "--role", "worker", database=url, name="second") as second,
    ):
        account, _ = await set_up(first.api, receiver, [PATH])
        [endpoint] = (await first.api.get("/v1/endpoints"))["items"]
        paced = await first.api.patch(f"/v1/endpoints/{endpoint['id']}", {"rate_limit": RATE})
        assert (paced["rate_limit"], paced["burst"]) == (RATE, None)
        await publish(first, account, RATE * (SECONDS + 60))
        waits = await first.api.get(f"/v1/endpoints/{endpoint['id']}/waiting")
        assert waits["held_back"]["reason"].startswith(f"paced: {RATE}/s, ")
        began = asyncio.get_running_loop().time()
        async with killed_again_and_again(second) as kills:
            await asyncio.sleep(SECONDS)
        ended = asyncio.get_running_loop().time()
        times = sorted(each.at for each in ledger.arrived)
        done = [line["status"] for line in first.said("attempt") + second.said("attempt")]
        assert set(done) == {200}
        await first.stop()
        await audited(url)
    steady = began + 2
    most = most_within(times, WINDOW)
    fewest = fewest_within(times, WINDOW, steady, ended)
    gap = max(later - earlier for earlier, later in pairwise(times))
    print(
        f"\n{RATE}/s for {SECONDS} s, {len(kills)} kills: {len(times)} requests arrived; within "
        f"any {WINDOW:.0f} s {fewest} to {most}; the longest gap was {gap:.2f} s"
    )
    assert most <= 1.1 * (WINDOW * RATE + RATE)
    assert gap < BACK_WITHIN
