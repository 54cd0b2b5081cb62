"""A database whose connections are used up, with locks and deadlocks from other programs."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
from accounting import Ledger
from postgreskit import cluster, database
from serverkit import receiving, serving, set_up
from watchkit import check_all, check_answers, publishing, until_accepted, watching

OPTIONS = ("--no-log-attempts", "--slots-per-endpoint", "50")
ASKED = ("/health/ready", "/v1/accounts", "/v1/deliveries?state=delivered")
TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'hooktide'"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
LOCK_SOME = "SELECT id FROM hooktide.queue ORDER BY random() LIMIT 50 FOR UPDATE"


async def take_all(url: str, others: AsyncExitStack) -> None:
    """Open every available connection until ``others`` is closed."""
    while True:
        try:
            connection = await asyncpg.connect(url)
        except asyncpg.TooManyConnectionsError:
            return
        others.callback(connection.terminate)


async def test_without_free_connections_callers_are_asked_to_retry(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    with cluster(max_connections="25") as postgres:
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
                async with AsyncExitStack() as others:
                    operator = await asyncpg.connect(url)
                    others.callback(operator.terminate)
                    refused = ledger.refused
                    async with asyncio.timeout(60):
                        while ledger.refused < refused + 20:
                            await take_all(url, others)
                            await operator.execute(TERMINATE)
                await until_accepted(ledger, 100)
            check_answers(answers + ledger.answers)
            await check_all(server, ledger, secrets)


async def test_one_connection_is_enough(tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, "--database-connections", "1", database=url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/flaky", "/slow"))
        async with publishing(server, account, ledger), watching(server.port, *ASKED) as answers:
            await until_accepted(ledger, 400)
        check_answers(answers + ledger.answers)
        await check_all(server, ledger, secrets)


async def test_a_database_that_gives_up_waiting_for_locks_costs_503s(tmp_path: Path) -> None:
    ledger = Ledger()
    async with database() as url:
        operator = await asyncpg.connect(url)
        name = await operator.fetchval("SELECT current_database()")
        await operator.execute(f"ALTER DATABASE {name} SET lock_timeout = '20ms'")
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url) as server,
        ):
            account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
            async with (
                publishing(server, account, ledger),
                watching(server.port, *ASKED) as answers,
            ):
                for table in ("queue", "ended", "accounts"):
                    await until_accepted(ledger, 50)
                    async with operator.transaction():
                        await operator.execute(f"LOCK TABLE hooktide.{table}")
                        await asyncio.sleep(1)
                        async with asyncio.timeout(120):
                            while not ledger.refused:
                                await asyncio.sleep(0.02)
                await until_accepted(ledger, 50)
            check_answers(answers + ledger.answers)
            await check_all(server, ledger, secrets)
        operator.terminate()


async def test_deadlocks_are_nobodys_business(tmp_path: Path) -> None:
    ledger = Ledger()
    async with database() as url:
        operator = await asyncpg.connect(url)
        name = await operator.fetchval("SELECT current_database()")
        await operator.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '10ms'")
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url) as server,
        ):
            account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
            async with (
                publishing(server, account, ledger, pause=0.0),
                watching(server.port, *ASKED) as answers,
            ):
                theirs = 0  # those that ended a statement of the operator's, not of the server's
                async with asyncio.timeout(300):
                    while await operator.fetchval(DEADLOCKS) < theirs + 3:
                        try:
                            await operator.execute(LOCK_SOME)
                        except asyncpg.DeadlockDetectedError:
                            theirs += 1
            check_answers(answers + ledger.answers)
            await check_all(server, ledger, secrets)
        operator.terminate()


async def test_two_servers_on_one_database_are_one_to_their_callers(tmp_path: Path) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, *OPTIONS, database=url, name="one") as one,
        serving(tmp_path, *OPTIONS, database=url, name="other") as other,
    ):
        account, secrets = await set_up(one.api, receiver, ("/ok", "/slow"))
        # Both callers count from 1, so they use the same keys, at about the same time.
        async with publishing(one, account, ledger), publishing(other, account, ledger):
            await until_accepted(ledger, 300)
        for server in (one, other):
            await check_all(server, ledger, secrets)
        [event_id, *_] = ledger.acked
        shown = [await server.api.get(f"/v1/events/{event_id}") for server in (one, other)]
    assert shown[0] == shown[1]
    assert len(ledger.acked) == len(set(ledger.acked.values()))
    assert ledger.duplicates == 0
