"""Guarantees that only the SQLite store gives."""

import asyncio
from pathlib import Path

import apsw
import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import DAY
from hooktide.runtime.vault import Vault
from hooktide.store.sqlite import SqliteStore, open_sqlite
from hooktide.store.sqlite.connection.checkpoint import WAL_BYTES
from hooktide.store.sqlite.maintenance.sealed import SqliteSealedRows


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def test_a_second_server_on_one_file_is_refused(
    given: Given,
) -> None:
    with pytest.raises(ConfigError, match="another hooktide server"):
        await given.place.open()
    assert len(await given.publish()) == 1


async def test_a_database_of_a_newer_version_is_refused(given: Given, tmp_path: Path) -> None:
    await given.close()
    db = apsw.Connection(str(tmp_path / "test.db"))
    known = db.pragma("user_version")
    db.pragma("user_version", 999)
    with pytest.raises(ConfigError, match="start the newer Hooktide"):
        await given.open()
    db.pragma("user_version", known)
    await given.open()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(ConfigError, match="cannot open"):
        open_sqlite(str(path), Vault(b"k" * 32), NOON)


async def test_the_write_ahead_log_starts_again_and_does_not_grow_with_the_load(
    given: Given, tmp_path: Path
) -> None:
    payload = b'{"text":"' + b"x" * 1000 + b'"}'
    largest = 0
    for _ in range(120):
        await asyncio.gather(
            *(given.publish(*[given.event(payload=payload)] * 25) for _ in range(10))
        )
        largest = max(largest, (tmp_path / "test.db-wal").stat().st_size)
    assert (tmp_path / "test.db").stat().st_size > 30_000_000
    assert largest < 6 * WAL_BYTES


async def test_what_a_dead_process_had_claimed_is_due_at_the_next_start(
    given: Given,
) -> None:
    given.hand.takes = 10
    await given.publish()
    await given.reopen()
    [claim] = await given.claim()
    assert claim.event.id == given.hand.claims[0].event.id


async def test_what_is_dropped_leaves_the_log_too(given: Given) -> None:
    await given.publish()
    await given.store.log_new(1000)
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    assert await given.store.drop_old(NOON + 10**15, 100) == 1
    left = await _store(given)._read(
        lambda db: [
            list(db.execute(f"SELECT count(*) FROM {table}"))
            for table in ("endpoint_log", "account_log")
        ]
    )
    assert left == [[(0,)], [(0,)]]


@pytest.mark.parametrize(
    "name", ["deliveries_of_endpoint", "deliveries_of_account", "events_of_account"]
)
async def test_a_list_reads_no_more_than_its_page_and_what_is_new(given: Given, name: str) -> None:
    select = "events" if name.startswith("events") else "deliveries"
    column = "id" if select == "events" else "d.id"
    known = _store(given)._sql
    sql = f"{known[select]} WHERE {known[name]} ORDER BY {column} DESC LIMIT 5"
    names = ("endpoint_id", "scope_account", "above", "below", "limit", "state", "type", "tag")
    values = dict.fromkeys((*names, "channel"), 1)
    plan = await _store(given)._read(
        lambda db: [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values)]
    )
    scans = [step for step in plan if step.startswith("SCAN")]
    bounded = ("(subquery", "SUBQUERY", "json_each")  # json_each: an event's own tags and channels
    assert all(any(each in step for each in bounded) for step in scans), plan


def _store(given: Given) -> SqliteStore:
    assert isinstance(given.store, SqliteStore)
    return given.store


async def test_the_keys_that_a_killed_server_read_do_not_count_beside_the_one_that_runs(
    given: Given,
) -> None:
    await given.store.report_keys("killed:1", ["aa"], NOON + DAY)  # then the clock was set back
    await given.store.report_keys("running:2", ["bb"], NOON)
    rows = SqliteSealedRows(given.place.url)
    assert [each.process for each in await rows.live()] == ["running:2"]
    await rows.close()
