"""PostgreSQL connections break at the worst moments: each event is stored once and delivered.

``HOOKTIDE_CUTS`` is the number of cuts under load: 20 by default, 300 in ``make faults``.
"""

import asyncio
import itertools
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from accounting import PROJECT, Ledger
from apikit import ApiError
from chaos import Message, Rule, Where, proxied
from postgreskit import database
from serverkit import Server, event, receiving, serving, set_up
from storekit import Given, Place, until
from watchkit import check_all, check_answers, longest, publishing, until_accepted, watching

from hooktide.domain.errors import UnavailableError

LEAST_MESSAGES = {Where.BEFORE: 3, Where.AFTER: 3, Where.UNANSWERED: 1}
"""How many are cut at least: a statement is bound, executed and, at its sync, committed."""
CUTS = int(os.environ.get("HOOKTIDE_CUTS", "20"))
CHANCE = random.Random(5)
CUT_INTERVAL = 0.2
OPTIONS = ("--no-log-attempts", "--slots-per-endpoint", "50")
ASKED = ("/health/ready", "/v1/accounts", "/v1/deliveries?state=delivered")
TERMINATE_ONE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'hooktide' ORDER BY random() LIMIT 1"""


async def test_connections_that_are_terminated_all_the_time_cost_no_event(tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
        operator = await asyncpg.connect(url)
        async with publishing(server, account, ledger), watching(server.port, *ASKED) as answers:
            for _ in range(CUTS):
                await operator.fetchval(TERMINATE_ONE)
                await asyncio.sleep(CUT_INTERVAL)
            await until_accepted(ledger, 50)
        operator.terminate()
        answers += ledger.answers
        check_answers(answers)
        await check_all(server, ledger, secrets)
    print(
        f"{CUTS} terminated: {len(ledger.acked)} accepted, {ledger.refused} refused, 0 lost, "
        f"{ledger.duplicates} sent again; longest answer {longest(answers):.2f} s"
    )


def commits(message: Message) -> bool:
    return message.runs and message.sql == "COMMIT"


def accepts(message: Message) -> bool:
    return message.runs and "INSERT INTO hooktide.events" in message.sql


def settles(message: Message) -> bool:
    return message.runs and "INSERT INTO hooktide.attempts" in message.sql


def one_in_ten(_: Message) -> bool:
    return CHANCE.random() < 0.1


async def test_connections_that_break_in_the_middle_cost_no_event(tmp_path: Path) -> None:
    ledger = Ledger()
    rules: tuple[Rule, ...] = (commits, accepts, settles, one_in_ten)
    async with (
        database() as url,
        proxied(url) as proxy,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=proxy.url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
        async with publishing(server, account, ledger), watching(server.port, *ASKED) as answers:
            kinds = itertools.cycle(itertools.product(rules, Where))
            for rule, where in itertools.islice(kinds, CUTS):
                await proxy.cut(rule, where).happened()
            await until_accepted(ledger, 50)
        answers += ledger.answers
        check_answers(answers)
        server.database = url
        await check_all(server, ledger, secrets)
    print(
        f"{CUTS} cut: {len(ledger.acked)} accepted, {ledger.refused} refused, 0 lost, "
        f"{ledger.duplicates} sent again; longest answer {longest(answers):.2f} s"
    )


BESIDE = ("pg_notify", "LISTEN", "hooktide.nodes", "pg_advisory_lock")
"""What is in the statements that no caller waits for: what processes tell each other."""


@dataclass
class Nth:
    """Matches the nth message (from 0) that can be cut there, except notifications."""

    n: int
    where: Where
    seen: int = 0

    def __call__(self, message: Message) -> bool:
        if any(each in message.sql for each in BESIDE):
            return False
        self.seen += message.answered or self.where is not Where.UNANSWERED
        return self.seen == self.n + 1


async def publish(server: Server, new: dict[str, Any]) -> str:
    """Publish an event, retry with its key until it is accepted, and return its id."""
    async with asyncio.timeout(60):
        while True:
            try:
                return str((await server.api.post("/v1/events", new))["id"])
            except ApiError as error:
                if error.status != 503:
                    raise


LIMITED = PROJECT.replace("retries = 20", "retries = 20\ndeliveries_per_hour = 10000")


@pytest.mark.parametrize("project", [PROJECT, LIMITED], ids=["unlimited", "limited"])
async def test_an_event_is_there_once_and_delivered_wherever_its_acceptance_was_cut(
    tmp_path: Path, project: str
) -> None:
    """Another server delivers, so the proxy only sees statements that accept."""
    ledger = Ledger()
    async with (
        database() as url,
        proxied(url) as proxy,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=url, name="worker") as worker,
        serving(tmp_path, "--role", "api", database=proxy.url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok",), project=project)
        for where in Where:
            for n in itertools.count():
                cut = proxy.cut(Nth(n, where), where)
                key = f"{where.name}-{n}"
                made = await publish(server, event(account, {"n": n}, idempotency_key=key))
                ledger.acked[made] = b'{"n":%d}' % n
                if proxy.spare(cut):
                    break
            assert n >= LEAST_MESSAGES[where]
        await until(lambda: len(ledger.answered_ok) == len(ledger.acked))
        await check_all(worker, ledger, secrets)
    assert ledger.duplicates == 0


async def test_what_was_accepted_by_a_commit_that_nobody_heard_of_is_due_at_once() -> None:
    async with database() as url, proxied(url) as proxy:
        given = Given(Place(proxy.url))
        await given.open()
        await given.begin()
        await given.publish()  # later calls use a single statement
        given.hand.takes = 10
        given.hand.hints.clear()
        proxy.cut(accepts, Where.UNANSWERED)
        with pytest.raises(UnavailableError):
            await given.publish(now=given.store.clock())
        await until(lambda: given.endpoint.id in given.hand.hints)
        assert len(await given.claim(given.store.clock())) == 2
        await given.close()


async def test_what_was_claimed_by_a_commit_that_nobody_heard_of_is_due_at_once() -> None:
    async with database() as url, proxied(url) as proxy:
        given = Given(Place(proxy.url))
        await given.open()
        await given.begin()
        await given.publish()
        given.hand.hints.clear()
        proxy.cut(commits, Where.UNANSWERED)
        with pytest.raises(UnavailableError):
            await given.claim(given.store.clock())
        await until(lambda: given.endpoint.id in given.hand.hints)
        assert len(await given.claim(given.store.clock())) == 1
        await given.close()
