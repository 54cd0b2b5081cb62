"""Events that an application writes to Hooktide's PostgreSQL are ingested exactly once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

import asyncpg
import pytest
from accounting import PROJECT
from pgbouncer import program
from storekit import NOON, Given, Place, at_last

from hooktide.actions.accounts import Accounts
from hooktide.actions.publishing.intake import Intake
from hooktide.actions.publishing.outbox_ingest import OutboxIngest
from hooktide.actions.publishing.publish import Publisher, Unknown
from hooktide.domain.model import MINUTE, Micros, Scope
from hooktide.domain.project.reading import parse_project
from hooktide.outbox.opening import open_outbox
from hooktide.runtime.clock import StoreClock
from hooktide.store.base import Accepted, AddResult, Emitted, NewEvent
from hooktide.store.directory import Directory
from hooktide.wire.events import EventIn

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

INSERT = """INSERT INTO hooktide.emitted (project, account, type, payload, key)
VALUES ($1, $2, $3, $4, $5)"""
LEFT = "SELECT id, type, refused FROM hooktide.emitted ORDER BY id"


@pytest.fixture(params=["postgres", "pgbouncer"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "pgbouncer" and not program():
        pytest.skip("PgBouncer is not installed")
    return str(request.param)


@pytest.fixture
async def app(given: Given) -> AsyncIterator[Connection]:
    """An application's connection, which publishes for the project ``accounting``."""
    given.project_id = (await given.store.put_project(parse_project(PROJECT), NOON)).id
    given.account = await given.store.create_account(given.project_id, "customer", "", "all", NOON)
    given.endpoint = await given.create_endpoint()
    connection = await asyncpg.connect(given.place.direct or given.place.url)
    yield connection
    await connection.close()


class Taking:
    """A process that ingests emitted events, and the notifications it sends."""

    def __init__(self, given: Given) -> None:
        self.accepted = 0
        self.refused: list[tuple[str, str]] = []
        self.told: list[int] = []
        store = given.store
        self.unknown: list[str] = []
        directory = Directory(store)
        self.publisher = Publisher(
            store,
            directory,
            Accounts(store, directory, store.clock),
            store.clock,
            warned=lambda *_: None,
            on_accepted=self._tell,
            unknown=lambda project, event: self.unknown.append(f"{project}: {event.account}"),
            intake=Intake(limited=False),
        )
        self._ingest = OutboxIngest(
            store, directory, self.publisher, store.clock, self._add, self._refuse
        )

    def _add(self, count: int) -> None:
        self.accepted += count

    def _refuse(self, row: Emitted, why: str) -> None:
        self.refused.append((row.type, why))

    def _tell(self, project_id: int, accepted: Accepted, now: Micros) -> None:
        self.told.append(accepted.event_id)

    async def run(self) -> int:
        return await self._ingest.run()

    async def all(self) -> None:
        """Ingest until no rows are left, whatever happens to the database."""
        while await at_last(self.run):
            pass


async def emit(app: Connection, type_: str = "thing.happened", n: int = 1, **more: Any) -> None:
    values = {"project": "accounting", "account": "customer", "key": "", **more}
    payload = f'{{"id": {n}, "total": 1.10}}'
    await app.execute(INSERT, values["project"], values["account"], type_, payload, values["key"])


async def payloads(given: Given) -> list[bytes]:
    """Return the events' payloads in order."""
    found = (await given.store.list_events(Scope(), None, 1000)).items
    rows = [await given.store.get_event(Scope(), row.event.id) for row in reversed(found)]
    return [row.event.payload for row in rows]


async def test_a_row_becomes_an_event_with_its_deliveries_once_its_transaction_commits(
    given: Given, app: Connection
) -> None:
    taking = Taking(given)
    async with app.transaction():
        await emit(app)
        assert await taking.run() == 0
    assert await taking.run() == 1
    assert await taking.run() == 0
    assert await payloads(given) == [b'{"id": 1, "total": 1.10}']
    assert (await given.store.counts()).pending == 1
    assert (taking.accepted, len(taking.told), taking.refused) == (1, 1, [])
    assert await app.fetch(LEFT) == []


async def test_a_rows_channels_and_tags_become_the_events(given: Given, app: Connection) -> None:
    for channels, tags in (('["a"]', '["t:1","u"]'), ("", ""), ("a", ""), ('["a b"]', "")):
        await emit(app, channels or "none")
        await app.execute(
            "UPDATE hooktide.emitted SET type = 'thing.happened', channels = $1, tags = $2"
            " WHERE type = $3",
            channels,
            tags,
            channels or "none",
        )
    taking = Taking(given)
    await taking.all()
    found = [row.event for row in (await given.store.list_events(Scope(), None, 10)).items]
    assert [(each.channels, each.tags) for each in found] == [((), ()), (("a",), ("t:1", "u"))]
    [malformed, refused] = [why for _, why in taking.refused]
    assert malformed.startswith("this is not a JSON array of strings")
    assert refused.startswith("a channel is 1 to 128 characters")


async def test_deliveries_are_handed_over_at_once_where_there_is_room(
    given: Given, app: Connection
) -> None:
    given.hand.takes = 10
    await emit(app)
    await Taking(given).all()
    [claim] = given.hand.claims
    assert claim.event.payload == b'{"id": 1, "total": 1.10}'


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"type_": "no.such"}, "no.such"),
        ({"project": "nothing"}, "no such project: nothing"),
    ],
)
async def test_a_row_that_is_refused_is_set_aside_with_its_reason_and_blocks_nothing(
    given: Given, app: Connection, wrong: dict[str, Any], reason: str
) -> None:
    taking = Taking(given)
    await emit(app, n=1)
    await emit(app, **wrong)
    await emit(app, n=2)
    await taking.all()
    [aside] = await app.fetch(LEFT)
    assert reason in aside["refused"]
    assert [why for _, why in taking.refused] == [aside["refused"]]
    assert len(await payloads(given)) == 2


async def test_a_row_whose_event_cannot_be_written_is_set_aside_and_blocks_nothing(
    given: Given, app: Connection
) -> None:
    await given.refuse("events", "NEW.transition = 'unwritable'")
    taking = Taking(given)
    for n in range(5):
        await emit(app, n=n)
    await app.execute("UPDATE hooktide.emitted SET transition = 'unwritable' WHERE id % 5 = 3")
    await emit(app, "no.such")
    await emit(app, account="nobody")
    await taking.all()
    [aside, unknown] = await app.fetch(LEFT)
    assert aside["refused"].startswith("the database refuses to store this event")
    assert sorted(why for _, why in taking.refused) == sorted(
        [aside["refused"], unknown["refused"]]
    )
    assert (len(await payloads(given)), taking.accepted) == (4, 4)


async def test_a_row_that_meets_a_bug_is_set_aside_and_blocks_nothing(
    given: Given, app: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking = Taking(given)
    check = taking.publisher.check

    async def fail_once(scope: Scope, event: EventIn) -> NewEvent | Unknown:
        if bytes(event.payload) == b'{"id": 2, "total": 1.10}':
            raise LookupError
        return await check(scope, event)

    monkeypatch.setattr(taking.publisher, "check", fail_once)
    for n in range(1, 4):
        await emit(app, n=n)
    await taking.all()
    [aside] = await app.fetch(LEFT)
    assert aside["refused"].startswith("a bug in Hooktide prevented")
    assert len(await payloads(given)) == 2


async def test_a_row_for_an_unknown_account_is_forgotten_and_blocks_nothing(
    given: Given, app: Connection
) -> None:
    taking = Taking(given)
    await emit(app, n=1)
    await emit(app, account="nobody")
    await emit(app, n=2)
    await taking.all()
    assert await app.fetch("SELECT * FROM hooktide.emitted") == []
    assert (taking.refused, len(taking.unknown), taking.accepted) == ([], 1, 2)
    assert taking.unknown[0].endswith(": nobody")
    assert len(await payloads(given)) == 2


async def test_a_key_that_was_used_for_another_event_sets_its_row_aside(
    given: Given, app: Connection
) -> None:
    taking = Taking(given)
    await emit(app, n=1, key="k")
    await emit(app, n=1, key="k")
    await emit(app, n=2, key="k")
    await taking.all()
    [aside] = await app.fetch(LEFT)
    assert "this idempotency key was used for evt_" in aside["refused"]
    assert [why for _, why in taking.refused] == [aside["refused"]]
    assert len(await payloads(given)) == 1


async def test_what_was_set_aside_is_shown_and_can_wait_again(
    given: Given, app: Connection
) -> None:
    await emit(app, type_="no.such")
    assert (await given.store.counts()).refused_emitted == 0
    await Taking(given).all()
    assert (await given.store.counts()).refused_emitted == 1
    found = open_outbox(given.place.url, "hooktide.emitted")
    [aside] = await found.refused()
    assert aside.event == "no.such of customer"
    assert "no.such" in aside.reason
    assert await found.retry() == 1
    assert (await given.store.counts()).refused_emitted == 0
    assert (await found.waiting(), await found.refused()) == (1, [])
    await found.close()


async def test_a_relay_may_go_through_a_pooler(given: Given, app: Connection) -> None:
    """Two take turns there as well; an outbox has the columns of this table."""
    for n in range(3):
        await emit(app, n=n)
    first, second = (open_outbox(given.place.url, "hooktide.emitted") for _ in range(2))
    async with first.take(2, 1000) as taken, second.take(2, 1000) as none:
        assert (len(taken.rows), len(none.rows)) == (2, 0)
        taken.accepted.append(taken.rows[0].id)
        taken.refused[taken.rows[1].id] = "why"
    async with second.take(2, 1000) as taken:
        assert [b'"id": 2' in row.body for row in taken.rows] == [True]
    assert [row["refused"] for row in await app.fetch(LEFT)] == ["why", ""]
    await first.close()
    await second.close()


@pytest.mark.parametrize(("end", "left"), [("COMMIT", 1), ("ROLLBACK", 0)])
async def test_ingest_waits_for_a_transaction_that_uses_a_key(
    given: Given, app: Connection, end: str, left: int
) -> None:
    await app.execute("BEGIN")
    await app.execute(
        "INSERT INTO hooktide.idempotency VALUES ($1, 'k', 'a', 4711, 1)", given.project_id
    )
    other = await asyncpg.connect(given.place.direct or given.place.url)
    await emit(other, key="k")
    taking = asyncio.create_task(Taking(given).run())
    async with asyncio.timeout(30):
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.005)
    await app.execute(end)
    assert await taking == 1
    assert len(await other.fetch(LEFT)) == left
    await other.close()


async def test_processes_that_take_over_at_once_double_nothing_and_keep_the_order(
    given: Given, app: Connection
) -> None:
    other = given.another()
    await other.open()
    mine, its = Taking(given), Taking(other)

    async def emit_all() -> None:
        for n in range(120):
            await emit(app, n=n)

    try:
        emitting = asyncio.create_task(emit_all())
        while not emitting.done():
            await asyncio.gather(mine.all(), its.all())
        await asyncio.gather(mine.all(), its.all())
    finally:
        await other.close()
    assert await payloads(given) == [b'{"id": %d, "total": 1.10}' % n for n in range(120)]
    assert mine.accepted + its.accepted == 120


async def test_what_is_taken_over_later_is_accepted_later_whatever_the_clocks_say(
    given: Given, app: Connection
) -> None:
    other = given.another()
    await other.open()
    slow = other.store.clock
    other.store.clock = StoreClock(lambda: slow() - MINUTE)
    try:
        await emit(app, n=1)
        await Taking(given).all()
        await emit(app, n=2)
        await Taking(other).all()
    finally:
        await other.close()
    assert await payloads(given) == [b'{"id": 1, "total": 1.10}', b'{"id": 2, "total": 1.10}']


async def test_events_come_through_publishing_and_taking_over_at_once(
    given: Given, app: Connection
) -> None:
    given.hand.takes = 10_000
    taking = Taking(given)
    for n in range(50):
        await emit(app, n=n)
    await asyncio.gather(taking.all(), *[given.publish() for _ in range(50)])
    assert len(await payloads(given)) == 100
    assert len({claim.delivery_id for claim in given.hand.claims}) == 100


async def test_what_another_process_was_faster_with_is_left_to_it(
    given: Given, app: Connection
) -> None:
    await emit(app, n=1)
    await emit(app, n=2)
    rows = await given.store.emitted(10)
    await Taking(given).all()
    events: Mapping[int, NewEvent] = {row.id: given.event() for row in rows}
    results: Mapping[int, AddResult] = await given.store.accept_emitted(
        events, {}, (), lambda _: ""
    )
    assert results == {}
    assert len(await payloads(given)) == 2


async def test_a_plan_that_changes_meanwhile_is_looked_at_again(
    given: Given, app: Connection
) -> None:
    """A process's cached account is verified within the transaction."""
    other = given.another()
    await other.open()
    taking = Taking(given)
    await emit(app)
    await taking.all()
    try:
        await other.create_endpoint(url="https://another.example.com/hook")
    finally:
        await other.close()
    await emit(app)
    await taking.all()
    [newest, oldest] = (await given.store.list_events(Scope(), None, 10)).items
    assert (oldest.deliveries, newest.deliveries) == (1, 2)


async def test_sqlite_has_nothing_to_take_over(tmp_path: Any) -> None:
    from_file = Given(Place(str(tmp_path / "test.db")))
    await from_file.open()
    assert list(await from_file.store.emitted(10)) == []
    await from_file.close()


async def test_what_is_taken_at_once_is_bounded_in_bytes(given: Given, app: Connection) -> None:
    """Rows that were written by hand may have any size, and must not all be read into memory."""
    for size in (3_000_000, 5, 200_000, *[900_000] * 12):
        payload = f'"{"x" * size}"'
        await app.execute(INSERT, "accounting", "customer", "thing.happened", payload, "")
    rows = await given.store.emitted(500)
    assert [len(row.payload) for row in rows[:3]] == [1_048_576, 7, 200_002]
    size = sum(len(row.payload) for row in rows)
    assert 7 * 2**20 < size <= 8 * 2**20
    assert len(await given.store.emitted(2)) == 2


async def test_erasing_an_account_takes_what_was_emitted_for_it_and_nothing_else(
    given: Given, app: Connection
) -> None:
    account = await given.store.find_account(Scope(), "customer")
    await emit(app)
    await emit(app, account="neighbour")
    await emit(app, project="another")
    await given.store.erase_account(Scope(), account.id, "", given.store.clock())
    left = await app.fetch("SELECT project, account FROM hooktide.emitted ORDER BY id")
    assert [tuple(row) for row in left] == [("accounting", "neighbour"), ("another", "customer")]
