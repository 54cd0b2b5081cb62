"""Records how a server responds, and how quickly, while its database has a fault.

``accounting.Producer`` generates the load and keeps its responses in a ledger. ``watching`` polls
other paths at the same time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import forkkit
from accounting import Answer, Ledger, Producer
from serverkit import KEY, Server, raw, request, until_none_is

LONGEST = 4.0
"""Seconds that an answer may take while the database is away: two are promised, and the machines
that run tests are slow."""
BETWEEN = 0.05
LIVE = "/health/live"
"""What is answered without the database."""


@asynccontextmanager
async def watching(port: int, *paths: str) -> AsyncIterator[list[Answer]]:
    """Poll each of these paths on its own connection, and yield the responses."""
    answers: list[Answer] = []
    stop = asyncio.Event()
    tasks = [asyncio.create_task(_ask(port, path, answers, stop)) for path in {LIVE, *paths}]
    try:
        yield answers
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _ask(port: int, path: str, answers: list[Answer], stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        asked_at = loop.time()
        status, after = read_head(await raw(port, request("GET", path), within=60))
        answers.append(Answer(path, asked_at, loop.time() - asked_at, status, after))
        await asyncio.sleep(BETWEEN)


def read_head(answer: bytes) -> tuple[int, str]:
    """Return a response's status (0 if there was none) and its Retry-After."""
    if not answer:
        return 0, ""
    lines = answer.partition(b"\r\n\r\n")[0].lower().splitlines()
    fields = dict(line.split(b": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), fields.get(b"retry-after", b"").decode()


@asynccontextmanager
async def publishing(
    server: Server, account: str, ledger: Ledger, pause: float = 0.02
) -> AsyncIterator[None]:
    """Publish on a few connections. On exit, every event that was begun is accepted."""
    producer = Producer(server.port, KEY, account, ledger, pause=pause)
    task = asyncio.create_task(producer.run(4))
    try:
        yield
        producer.stop.set()
        await task
    finally:
        task.cancel()


async def until_accepted(ledger: Ledger, more: int, within: float = 120) -> float:
    """Wait until this many more events are accepted, and return how many seconds that took."""
    loop = asyncio.get_running_loop()
    began_at, wanted = loop.time(), len(ledger.acked) + more
    async with asyncio.timeout(within):
        while len(ledger.acked) < wanted:
            await asyncio.sleep(0.01)
    return loop.time() - began_at


def statuses(
    answers: Sequence[Answer], path: str, since: float = 0.0, until: float = float("inf")
) -> Counter[int]:
    """Count the statuses of requests that began and ended between two points in time."""
    return Counter(
        answer.status
        for answer in answers
        if answer.path == path and since <= answer.asked_at <= until - answer.seconds
    )


async def until_refused(found: Callable[[], Sequence[Answer]], *paths: str) -> None:
    """Wait until each of these paths has returned 503."""
    async with asyncio.timeout(120):
        while not all(503 in statuses(found(), path) for path in paths):
            await asyncio.sleep(0.05)


def longest(answers: Sequence[Answer]) -> float:
    """Return the longest response time in seconds."""
    return max(answer.seconds for answer in answers)


def check_answers(answers: Sequence[Answer]) -> None:
    """Assert that responses were in time, and that each 503 has a Retry-After.

    On a busy machine, requests without a database access are slow too, so the limit grows with
    their response time.
    """
    wrong = [answer for answer in answers if answer.status not in (200, 202, 503)]
    assert not wrong, wrong[:5]
    live = max((answer.seconds for answer in answers if answer.path == LIVE), default=0.0)
    slow = [answer for answer in answers if answer.seconds >= LONGEST + 2 * live]
    assert not slow, slow[:5]
    refused = [answer for answer in answers if answer.status == 503]
    silent = [a for a in refused if not a.retry_after and not a.path.startswith("/health/")]
    assert not silent, silent[:5]


async def check_all(server: Server, ledger: Ledger, secrets: dict[str, str]) -> None:
    """Wait until nothing is pending, then assert that no event is lost and the audit passes."""
    assert server.process is not None
    assert server.process.returncode is None
    await until_none_is(server.api, "pending", within=120)
    ledger.check(secrets)
    assert ledger.unknown == 0
    found = await audited(server.database)
    assert found[0] == 0, found[1]


async def audited(url: str) -> tuple[int, str]:
    """Run ``hooktide audit``. Return its exit status and output."""
    return await forkkit.run("audit", "--database", url)
