"""Guarantees that only the PostgreSQL store gives, about concurrency and broken connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from ports import free_port
from postgreskit import database
from samples import take_over
from storekit import KEY, LEASE, NOON, Given, Place, at_last, until

from hooktide.domain.errors import ConfigError, NotFoundError, UnavailableError
from hooktide.domain.ids import NODES
from hooktide.domain.model import DAY, HOUR, SECOND, Micros, Role, Scope
from hooktide.domain.project.project import Project
from hooktide.runtime.vault import Vault
from hooktide.store.access.users import USERS_SPACE
from hooktide.store.base import Accepted, AddResult, KeyReused
from hooktide.store.postgres import open_postgres
from hooktide.store.postgres.connection import connection as postgres_connection
from hooktide.store.postgres.connection.connection import translated
from hooktide.store.postgres.maintenance.migrating import migrate, missing_in
from hooktide.store.postgres.processes import nodes
from hooktide.store.sql.queries import load_queries

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

BREAK_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
async def aside(place: Place) -> AsyncIterator[Connection]:
    """Another client's connection, in the middle of a transaction."""
    connection = await asyncpg.connect(place.url)
    await connection.execute("BEGIN")
    yield connection
    connection.terminate()


async def until_one_waits(aside: Connection) -> None:
    """Wait until another session waits for a lock of this connection."""
    waiting = """SELECT count(*) FROM pg_locks
        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"""
    async with asyncio.timeout(30):
        while not await aside.fetchval(waiting):
            await asyncio.sleep(0.005)


def test_both_databases_have_the_same_statements_in_the_same_order() -> None:
    sqlite, postgres = (
        list(load_queries(f"hooktide.store.{name}", "queries.sql"))
        for name in ("sqlite", "postgres")
    )
    assert sqlite == postgres


@pytest.mark.parametrize("per_hour", [None, 10])
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_an_event_waits_for_a_transaction_that_uses_its_key(
    given: Given, aside: Connection, per_hour: int | None, end: str
) -> None:
    await given.set_plan(deliveries_per_hour=per_hour)
    await given.publish()
    await aside.execute(
        "INSERT INTO hooktide.idempotency VALUES ($1, 'k', 'a', 4711, 1)", given.project_id
    )
    event = given.event(idempotency_key="k", digest=b"b")
    asked = asyncio.create_task(at_last(lambda: given.store.add_events([event], NOON)))
    await until_one_waits(aside)
    await aside.execute(end)
    [answer] = await asked
    expected: type[AddResult] = KeyReused if end == "COMMIT" else Accepted
    assert isinstance(answer, expected)
    assert (await given.store.counts()).pending == 1 + (end == "ROLLBACK")


async def test_what_has_to_be_done_again_is_counted_once_in_the_plans_hour(
    given: Given, aside: Connection
) -> None:
    await given.set_plan(deliveries_per_hour=2)
    await aside.execute(
        "UPDATE hooktide.accounts SET version = version + 1 WHERE id = $1", given.account.id
    )
    events = [given.event(idempotency_key=key, digest=b"d") for key in ("k1", "k2")]
    asked = asyncio.create_task(at_last(lambda: given.publish(*events)))
    await until_one_waits(aside)
    await aside.execute("COMMIT")
    await asked
    counts = await given.store.counts()
    assert (counts.pending, counts.held) == (2, 0)


async def test_a_claim_passes_over_what_another_is_claiming(
    given: Given, aside: Connection
) -> None:
    await given.publish(*[given.event() for _ in range(3)])
    await aside.fetch("SELECT 1 FROM hooktide.queue LIMIT 1 FOR UPDATE")
    assert len(await given.claim()) == 2


async def test_a_disable_waits_for_a_concurrent_claim(given: Given, aside: Connection) -> None:
    """Otherwise the call could return, and an earlier claim could be committed after it."""
    endpoint_id = given.endpoint.id
    held = "SELECT 1 FROM hooktide.endpoints WHERE id = $1 FOR SHARE"
    await aside.fetch(held, endpoint_id)
    asked = asyncio.create_task(
        at_last(lambda: given.store.disable_endpoint(Scope(), endpoint_id, "x", NOON))
    )
    await until_one_waits(aside)
    assert (await given.store.get_endpoint(Scope(), endpoint_id)).enabled
    await aside.execute("COMMIT")
    assert not (await asked).enabled


async def test_after_a_break_everything_may_have_changed_and_changes_are_heard_again(
    given: Given, aside: Connection
) -> None:
    other = given.another()
    await other.open(listens=False)
    await aside.execute(BREAK_ALL)
    # Called twice: when the connection is lost, and when a new one listens.
    await until(lambda: given.hand.changes.count(("everything", 0)) >= 2)
    await at_last(lambda: other.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON))
    await given.hand.heard("endpoint", given.endpoint.id)
    await at_last(lambda: given.store.check())
    await other.close()


async def test_who_publishes_again_after_a_break_publishes_once(
    given: Given, aside: Connection
) -> None:
    published: list[Accepted] = []

    async def publish(key: str) -> None:
        event = given.event(idempotency_key=key, digest=b"d")
        published.extend(await at_last(lambda: given.publish(event)))

    async def publish_all() -> None:
        for start in range(0, 100, 5):
            await asyncio.gather(*(publish(f"k{n}") for n in range(start, start + 5)))

    async def break_now_and_then() -> None:
        for count in range(0, 100, 10):
            await until(lambda: len(published) >= count)  # noqa: B023 - awaited at once
            await aside.execute(BREAK_ALL)

    await asyncio.gather(break_now_and_then(), publish_all())
    assert (await at_last(given.store.counts)).pending == 100
    assert len({one.event_id for one in published}) == 100


async def test_processes_that_start_at_once_on_an_empty_database_all_open() -> None:
    async with database(migrated=False) as url:
        stores = await asyncio.gather(*(open_postgres(url, Vault(KEY), NOON) for _ in range(5)))
        made = [
            await store.put_project(Project(name=f"p{n}", title=""), NOON)
            for n, store in enumerate(stores)
        ]
        assert len({row.id % NODES for row in made}) == 5
        for store in stores:
            await store.close()


async def test_a_server_that_answers_before_it_has_written_is_refused(
    given: Given, aside: Connection
) -> None:
    await aside.execute("COMMIT")
    name = given.place.url.rpartition("/")[2]
    await aside.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(ConfigError, match="synchronous_commit = off"):
        await given.place.open()


async def test_a_migration_that_waits_for_a_long_reader_lets_others_go_on() -> None:
    async with database(migrated=False) as url:
        await take_over(Place(url), 3)
        reader, other = await asyncpg.connect(url), await asyncpg.connect(url)
        await reader.execute("BEGIN; SELECT count(*) FROM hooktide.endpoints")
        migrating = asyncio.create_task(migrate(url))
        await until_one_waits(reader)
        async with asyncio.timeout(60):
            await other.fetchval("SELECT count(*) FROM hooktide.endpoints")
            await reader.execute("COMMIT")
            await migrating
        assert (await missing_in(url))[1] == []
        for each in (reader, other):
            await each.close()


async def test_a_database_of_a_newer_version_is_refused(given: Given, aside: Connection) -> None:
    await aside.execute("INSERT INTO hooktide.migrations VALUES (999, 'later'); COMMIT")
    with pytest.raises(ConfigError, match="start the newer Hooktide"):
        await given.place.open()


async def test_a_missing_database_is_distinguished_from_a_missing_server(
    given: Given,
) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        await Place(given.place.url + "_not").open()
    with pytest.raises(UnavailableError):
        await Place(f"postgresql://hooktide@127.0.0.1:{free_port()}/none").open()


async def test_of_two_hosts_that_connect_in_the_same_turn_one_connection_stays_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, both, connect_one = list[Connection](), asyncio.Event(), asyncpg.connect

    async def connect_together(*args: Any, **options: Any) -> Connection:
        connection = await connect_one(*args, **options)
        made.append(connection)
        if len(made) == 2:
            asyncio.get_running_loop().call_soon(both.set)
        await both.wait()
        return connection

    monkeypatch.setattr(asyncpg, "connect", connect_together)
    monkeypatch.setattr(postgres_connection, "HEAD_START", 0.0)
    parts = urlsplit(place.url)
    user, at, host = parts.netloc.rpartition("@")
    url = urlunsplit(parts._replace(netloc=f"{user}{at}{host},{host}"))
    connection = await postgres_connection.connect(url)
    await asyncio.sleep(0)
    assert [each for each in made if not each.is_closed()] == [connection]
    assert await connection.fetchval("SELECT 1") == 1
    connection.terminate()
    assert len(made) == 2


@pytest.mark.parametrize(
    "error", [asyncpg.PostgresIOError("x"), asyncpg.StatementCompletionUnknownError("x")]
)
def test_server_errors_are_not_attributed_to_a_client(error: Exception) -> None:
    assert isinstance(translated(error), UnavailableError)


async def test_a_login_waits_for_a_change_of_that_person_and_for_no_other(
    given: Given, aside: Connection
) -> None:
    ann, bob = [
        await given.store.create_user(name, Role.OWNER, None, NOON) for name in ("ann", "bob")
    ]
    await aside.execute("SELECT pg_advisory_xact_lock($1, 0)", USERS_SPACE)
    await aside.execute("UPDATE hooktide.people SET password = 'new' WHERE id = $1", ann.id)
    async with asyncio.timeout(30):
        await given.store.create_session(b"b" * 32, bob.id, None, NOON, NOON + DAY)
    logging_in = asyncio.create_task(
        given.store.create_session(b"a" * 32, ann.id, None, NOON, NOON + DAY)
    )
    await until_one_waits(aside)
    await aside.execute("COMMIT")
    with pytest.raises(NotFoundError, match="password"):
        await logging_in


@pytest.mark.parametrize("leap", [DAY, -DAY])
async def test_a_start_waits_until_others_have_said_how_they_measure_leases_since_a_clock_was_set(
    place: Place, monkeypatch: pytest.MonkeyPatch, leap: Micros
) -> None:
    monkeypatch.setattr(nodes, "RENEW_INTERVAL", 3600.0)
    monkeypatch.setattr(nodes, "RENEWAL_TIMEOUT", 120 * SECOND)
    first, aside = await place.open(), await asyncpg.connect(place.url)
    async with asyncio.timeout(30):
        while not await aside.fetchval("SELECT count(*) FROM hooktide.nodes WHERE held"):
            await asyncio.sleep(0.01)
    # After a clock was set forward by a day, rows written just now appear a day old.
    await aside.execute("UPDATE hooktide.nodes SET free_at = free_at - $1", leap)
    starting = asyncio.create_task(place.open())
    await asyncio.wait({starting}, timeout=0.5)
    assert not starting.done()
    renewed = "UPDATE hooktide.nodes SET free_at = free_at + $1, lease_shift = $2"
    await aside.execute(renewed, leap, -HOUR)
    second = await starting
    assert -HOUR <= second.lease_shift() < -HOUR // 2
    await second.close()
    await first.close()
    await aside.close()


async def test_a_process_that_was_suspended_measures_leases_as_one_that_started_meanwhile(
    given: Given, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "RENEW_INTERVAL", 3600.0)
    monkeypatch.setattr(nodes, "RENEWAL_TIMEOUT", 0)
    woken: Any = await place.open()  # it has not been renewed for too long already
    monkeypatch.setattr(nodes, "RENEWAL_TIMEOUT", 120 * SECOND)
    woken.clock.measure_leases(HOUR)  # the clock was set back, it does not know when
    await given.publish()
    await given.publish()
    [_] = await given.claim(each=1)
    assert await woken.release_expired_claims(NOON + SECOND, 10) == 0
    assert len(await woken.claim_due([given.endpoint.id], NOON + SECOND, LEASE, 10)) == 1
    await woken._node._renew_once()
    assert woken.lease_shift() == 0
    assert await woken.release_expired_claims(NOON + SECOND, 10) == 0
    assert await woken.release_expired_claims(NOON + LEASE, 10) == 1
    await woken.close()
