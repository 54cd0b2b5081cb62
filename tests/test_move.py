"""Moving from a SQLite file to PostgreSQL is not visible to API clients."""

from pathlib import Path

import apsw
import asyncpg
import pytest
from msgspec.structs import replace
from postgreskit import database
from sqlitekit import prepare
from storekit import KEY, NOON, Given, Place

from hooktide.domain.audit_log import AuditEntry
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import HOUR, MINUTE, JobAct, ReplayWhat, Role, Scope
from hooktide.domain.stats import EndpointHour, ProjectMinute
from hooktide.store.base import JobItem, NewReplay, ReplayCount
from hooktide.store.copy_to_postgres import COPIED, copy_installation


async def lived(given: Given) -> None:
    """Create objects of every kind in an installation."""
    given.hand.takes = 3
    events = [given.event(idempotency_key=f"k{n}") for n in range(4)]
    await given.publish(*events[:3], replace(events[3], retention_days=5))
    first, second, third = given.hand.claims
    await given.record(first, Delivered())
    await given.record(second, RetryAt(NOON + 10**6), status=500)
    await given.record(third, Failed(), status=None)
    await given.create_endpoint("invoice.sent", url="https://other.example.com/")
    given.hand.takes = 0
    await given.set_plan(deliveries_per_hour=1)
    await given.publish(given.event(), given.event())
    replay = NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.FAILED, since=NOON)
    await given.store.create_replay(Scope(), replay, ReplayCount(1, at_least=True), NOON)
    job = await given.store.create_delivery_job(Scope(), JobAct.RESEND, "{}", (5, True), NOON)
    await given.store.collect(job, [JobItem(given.endpoint.id, 7)], 0, 8, whole=False)
    ann = await given.store.create_user("Ann", Role.OWNER, given.project_id, NOON)
    await given.store.update_user(ann.id, {"password": "scrypt$1"}, NOON)
    entry = AuditEntry(
        id=0,
        project_id=given.project_id,
        account_id=None,
        actor="Ann",
        source="api",
        address="192.0.2.7",
        action="project.put",
        target="test",
        detail="",
        before={"name": "a"},
        after={"name": "b"},
    )
    await given.store.add_audit_entry(entry, NOON)
    hour = EndpointHour(
        endpoint_id=given.endpoint.id,
        project_id=given.project_id,
        account_id=given.account.id,
        hour=NOON // HOUR,
        attempts=3,
        failing_since=NOON,
    )
    minute = ProjectMinute(project_id=given.project_id, minute=NOON // MINUTE, accepted=6)
    await given.store.add_stats([minute], [hour])
    await given.store.redate_rests(NOON - HOUR, MINUTE)  # the clock was set back


async def seen(given: Given) -> list[object]:
    """Return everything that the store's methods show."""
    store = given.store
    deliveries = (await store.list_deliveries(Scope(), None, 100)).items
    return [
        await store.list_projects(Scope()),
        (await store.list_accounts(Scope(), None, 100)).items,
        (await store.list_endpoints(Scope(), None, 100)).items,
        await store.get_endpoint(Scope(), given.endpoint.id),
        (await store.list_events(Scope(), None, 100)).items,
        (await store.list_replays(Scope(), given.endpoint.id, None, 100)).items,
        (await store.list_delivery_jobs(Scope(), None, 100)).items,
        deliveries,
        [await store.list_attempts(Scope(), one.id) for one in deliveries],
        await store.list_users(),
        await store.find_user("ANN"),
        (await store.list_audit_log(Scope(), None, 100)).items,
        await store.chart(Scope(), NOON, NOON + MINUTE, 1),
        await store.health(Scope(), [given.endpoint.id], NOON),
    ]


async def test_everything_is_there_afterwards_as_it_was(tmp_path: Path) -> None:
    given = Given(Place(str(tmp_path / "hooktide.db")))
    await given.open()
    await given.begin()
    await lived(given)
    before = await seen(given)
    await given.close()
    async with database() as url:
        moved = await copy_installation(given.place.url, url)
        assert moved["events"] == 6
        assert moved["queue"] == 4
        assert moved["ended"] == 2
        assert moved["attempts"] == 3
        assert moved["payload_expiries"] == 1
        assert moved["replays"] == 1
        assert moved["delivery_job_items"] == 1
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT set_back_from FROM hooktide.clock_mark") >= NOON
        await connection.close()
        there = Given(Place(url), project_id=given.project_id)
        there.account, there.endpoint = given.account, given.endpoint
        await there.open(KEY)
        assert await seen(there) == before
        [again] = await there.publish(there.event(idempotency_key="k2"))
        assert again.replayed
        await there.set_plan(deliveries_per_hour=None)
        assert await there.store.unhold(NOON, 100) == 1
        claims = await there.claim(NOON + 10**9)
        assert sorted(claim.attempt for claim in claims) == [1, 1, 1, 2]
        await there.close()


TRANSLATED = {"events", "deliveries", "attempts", "clock_mark"}
LEFT = {
    "endpoint_log", "account_log", "logged",  # indexes of the log that SQLite needs
    "login_links", "sessions", "login_records", "stash",  # users log in again
    "key_reports",  # each process writes its own
    "waiting_counts",  # triggers count the copied deliveries
}  # fmt: skip
"""Tables that are not copied column by column, and those that are not copied."""


def test_no_column_is_forgotten(tmp_path: Path) -> None:
    """A new column or table has to be added to the copy, or to the list of exceptions."""
    path = str(tmp_path / "hooktide.db")
    prepare(path)
    db = apsw.Connection(path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    there = {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in tables}
    db.close()
    assert set(tables) == COPIED.keys() | TRANSLATED | LEFT
    copied = {name: columns.split(", ") for name, columns in COPIED.items()}
    assert {name: set(columns) for name, columns in copied.items()} == {
        name: set(there[name]) for name in copied
    }


async def test_what_a_server_held_when_it_died_is_due(tmp_path: Path) -> None:
    given = Given(Place(str(tmp_path / "hooktide.db")))
    await given.open()
    await given.begin()
    given.hand.takes = 1
    await given.publish()
    await given.close()
    async with database() as url:
        await copy_installation(given.place.url, url)
        there = Given(Place(url), endpoint=given.endpoint)
        await there.open()
        [claim] = await there.claim(there.store.clock())
        assert claim.delivery_id == given.hand.claims[0].delivery_id
        await there.close()


async def test_a_running_server_is_not_moved_from_under_its_feet(tmp_path: Path) -> None:
    given = Given(Place(str(tmp_path / "hooktide.db")))
    await given.open()
    async with database() as url:
        with pytest.raises(ConfigError, match="another hooktide server"):
            await copy_installation(given.place.url, url)
    await given.close()


async def test_nothing_is_moved_to_where_something_is(tmp_path: Path) -> None:
    given = Given(Place(str(tmp_path / "hooktide.db")))
    await given.open()
    await given.begin()
    await given.close()
    async with database() as url:
        await copy_installation(given.place.url, url)
        with pytest.raises(ConfigError, match="give an empty one"):
            await copy_installation(given.place.url, url)
