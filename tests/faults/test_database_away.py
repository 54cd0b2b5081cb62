"""PostgreSQL stops under load, freezes or is locked, and recovers: nothing is lost or hangs.

``HOOKTIDE_AWAY`` is for how many seconds it is away: 3 by default, longer than any client waits
(2), and 30 in ``make faults``. ``HOOKTIDE_LOCKED`` is for how many seconds each table is locked: 5
by default, 20 in ``make faults``.
"""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
from accounting import Ledger
from chaos import proxied
from postgreskit import cluster, database
from serverkit import event, receiving, serving, set_up, until_none_is
from watchkit import (
    check_all,
    check_answers,
    longest,
    publishing,
    statuses,
    until_accepted,
    until_refused,
    watching,
)

from hooktide.store.writing.batch import RECORD_RETRY_TIMEOUT

AWAY = float(os.environ.get("HOOKTIDE_AWAY", "3"))
LOCKED = float(os.environ.get("HOOKTIDE_LOCKED", "5"))
OPTIONS = ("--no-log-attempts", "--slots-per-endpoint", "50")
PUBLISH = "/v1/events"
LIST = "/v1/deliveries?state=delivered"
ASKED = ("/health/live", "/health/ready", "/v1/accounts", LIST)
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hooktide'"
REFUSED = {"queue": PUBLISH, "ended": LIST, "accounts": "/v1/accounts"}
"""What is refused while a table is locked."""
MAX_BACKENDS = 21
"""Ten connections, ten more that are being ended, and the one that listens."""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_database_that_ends_under_load_costs_503s_and_no_event(
    tmp_path: Path, how: signal.Signals
) -> None:
    loop, ledger = asyncio.get_running_loop(), Ledger()
    with cluster() as postgres:
        async with (
            database(postgres) as url,
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url) as server,
        ):
            account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
            async with (
                publishing(server, account, ledger),
                watching(server.port, *ASKED) as answers,
            ):
                await until_accepted(ledger, 100)
                await asyncio.to_thread(postgres.stop, how)
                ended_at = loop.time()
                await asyncio.sleep(AWAY)
                await until_refused(lambda: answers + ledger.answers, *ASKED[1:], PUBLISH)
                back_at = loop.time()
                await asyncio.to_thread(postgres.start)
                took = await until_accepted(ledger, 1)
                await until_accepted(ledger, 100)
            answers += ledger.answers
            check_answers(answers)
            asked = (*ASKED, PUBLISH)
            seen = {path: statuses(answers, path, ended_at, back_at) for path in asked}
            assert seen.pop("/health/live").keys() == {200}
            assert all(found.keys() <= {503} for found in seen.values()), seen
            await check_all(server, ledger, secrets)
    print(
        f"{how.name}, away {AWAY:.0f} s: {len(ledger.acked)} accepted, 0 lost, {ledger.duplicates} "
        f"sent again; longest answer {longest(answers):.2f} s; accepting after {took:.2f} s"
    )


async def test_what_was_delivered_while_the_database_was_away_is_recorded_once_it_is_back(
    tmp_path: Path,
) -> None:
    ledger = Ledger(hanging={"/hang"})
    with cluster() as postgres:
        async with (
            database(postgres) as url,
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url) as server,
        ):
            account, _ = await set_up(server.api, receiver, ("/hang",))
            for _ in range(40):
                await server.api.post("/v1/events", event(account))
            async with asyncio.timeout(60):
                while len(ledger.arrived) < 10:  # an endpoint's slots begin with ten
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(postgres.stop)
            ledger.let_go()
            await asyncio.sleep(AWAY)
            await asyncio.to_thread(postgres.start)
            await until_none_is(server.api, "pending", within=90)
            assert len((await server.api.get(LIST + "&limit=100"))["items"]) == 40
    times = Counter(ledger.arrived_at("/hang"))
    assert set(times.values()) == ({1} if AWAY < RECORD_RETRY_TIMEOUT / 2 else {2})


async def test_a_database_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        proxied(url) as proxy,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=proxy.url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
        async with (
            publishing(server, account, ledger),
            watching(server.port, *ASKED) as answers,
        ):
            await until_accepted(ledger, 100)
            proxy.black_hole()
            await asyncio.sleep(AWAY)
            await until_refused(lambda: answers + ledger.answers, *ASKED[1:], PUBLISH)
            await proxy.resume()
            took = await until_accepted(ledger, 1)
            await until_accepted(ledger, 100)
        answers += ledger.answers
        check_answers(answers)
        assert statuses(answers, "/health/live").keys() == {200}
        await check_all(server, ledger, secrets)
    print(f"silent: longest answer {longest(answers):.2f} s; accepting after {took:.2f} s")


async def test_a_locked_table_costs_503s_and_no_event(tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
        other = await asyncpg.connect(url)
        async with (
            publishing(server, account, ledger),
            watching(server.port, *ASKED) as answers,
        ):
            for table in ("queue", "ended", "accounts"):
                await until_accepted(ledger, 100)
                async with other.transaction():
                    await other.execute(f"LOCK TABLE hooktide.{table} IN ACCESS EXCLUSIVE MODE")
                    await asyncio.sleep(LOCKED)
                    await until_refused(lambda: answers + ledger.answers, REFUSED[table])
                    assert await other.fetchval(BACKENDS) <= MAX_BACKENDS
                await until_accepted(ledger, 100)
        await other.close()
        answers += ledger.answers
        check_answers(answers)
        await check_all(server, ledger, secrets)
    print(f"locked: longest answer {longest(answers):.2f} s; {ledger.duplicates} sent again")
