"""A long-running reader makes SQLite's write-ahead log grow, up to its limit."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from storekit import NOON, Given, Place, at_last, until

from hooktide.domain.errors import StorageFullError
from hooktide.domain.model import Bin, BinRequest, SignatureVerdict
from hooktide.runtime.vault import Vault
from hooktide.store.sqlite import SqliteStore, open_sqlite
from hooktide.store.sqlite.connection import checkpoint
from hooktide.store.sqlite.connection.checkpoint import Checkpointer

MB = 1 << 20
LIMIT = 8 * MB
PAYLOAD = b'{"text":"%b"}' % (b"x" * 250_000)


@pytest.fixture
async def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Given]:
    monkeypatch.setattr(checkpoint, "LONG_WAL_BYTES", 6 * MB)
    given = Given(Place(str(tmp_path / "test.db")))
    given.store = open_sqlite(given.place.url, Vault(b"k" * 32), NOON, LIMIT)
    given.opened = True
    await given.begin()
    yield given
    await given.close()


def reader(given: Given) -> apsw.Connection:
    """Open a read transaction, as a shell that someone left open."""
    db = apsw.Connection(given.place.url, flags=apsw.SQLITE_OPEN_READONLY)
    db.execute("BEGIN")
    list(db.execute("SELECT count(*) FROM events"))
    return db


def log_size(given: Given) -> int:
    return Path(given.place.url + "-wal").stat().st_size


async def bin_request(given: Given) -> BinRequest:
    """Create a bin, and return a request for it."""
    made = await given.store.create_bin(
        Bin(
            id=0,
            token="t" * 24,
            page_token="p" * 24,
            project_id=None,
            account_id=None,
            script="[]",
            created_at=NOON,
            expires_at=NOON + 100,
        ),
        most=100,
    )
    return BinRequest(
        id=0,
        bin_id=made.id,
        method="POST",
        path="/",
        headers=(),
        body=b"x",
        body_size=1,
        answered=200,
        received_at=NOON,
        verdict=SignatureVerdict.UNCHECKED,
        reason="",
    )


async def grow(given: Given) -> int:
    """Publish until the log is full. Return how many events were accepted."""
    for number in range(200):
        try:
            await given.publish(given.event(payload=PAYLOAD))
        except StorageFullError:
            return number
    raise AssertionError("the log is never full")


async def test_events_are_refused_at_the_limit_and_accepted_once_the_reader_is_gone(
    given: Given, caplog: pytest.LogCaptureFixture
) -> None:
    store = given.store
    assert isinstance(store, SqliteStore)
    db = reader(given)
    with caplog.at_level(logging.WARNING, logger="hooktide.store"):
        accepted = await grow(given)
        assert accepted * len(PAYLOAD) > LIMIT // 2
        assert LIMIT <= store.wal_bytes < LIMIT + 4 * MB
        with pytest.raises(StorageFullError, match="grown to its limit"):
            await store.check()
        await until(lambda: "keeps it from being emptied" in caplog.text)
    before = log_size(given)
    for _ in range(20):
        with pytest.raises(StorageFullError):
            await given.publish(given.event(payload=PAYLOAD))
    assert log_size(given) == before
    db.close()
    await at_last(store.check)
    assert len(await given.publish()) == 1
    assert (await store.counts()).pending == accepted + 1
    await until(lambda: log_size(given) < 2 * MB)


async def test_without_a_reader_the_log_stays_short_whatever_is_published(given: Given) -> None:
    assert isinstance(given.store, SqliteStore)
    for _ in range(80):
        await given.publish(given.event(payload=PAYLOAD))
    assert given.store.wal_bytes < LIMIT


async def test_a_log_that_no_reader_holds_refuses_nothing_however_long_it_is(given: Given) -> None:
    assert isinstance(given.store, SqliteStore)
    events = [given.event(payload=PAYLOAD) for _ in range(2 * LIMIT // len(PAYLOAD))]
    for _ in range(3):  # one transaction fills the log, and the next one finds it long
        assert len(await given.publish(*events)) == len(events)


async def test_a_bin_keeps_no_more_while_the_log_cannot_be_emptied(given: Given) -> None:
    request = await bin_request(given)
    db = reader(given)
    await grow(given)
    with pytest.raises(StorageFullError):
        await given.store.add_bin_request(request, keep=10, keep_bytes=MB)
    db.close()
    await at_last(given.store.check)
    await given.store.add_bin_request(request, keep=10, keep_bytes=MB)


async def test_a_long_logs_space_is_freed_also_if_a_reader_was_in_the_way_at_first(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CUT_OFF_INTERVAL", 0.0)
    finish, readers = Checkpointer._finish, list[apsw.Connection]()

    def finish_beside_a_reader(self: Checkpointer) -> None:
        if not readers:
            readers.append(reader(given))
        finish(self)

    monkeypatch.setattr(Checkpointer, "_copy_most", lambda _: None)
    monkeypatch.setattr(Checkpointer, "_finish", finish_beside_a_reader)
    await given.publish(*[given.event(payload=PAYLOAD) for _ in range(40)])
    async with asyncio.timeout(30):
        while not readers:
            await given.store.check()
        assert log_size(given) > 6 * MB
        readers[0].close()
        while log_size(given) > MB:
            await given.store.check()


async def test_checkpoints_run_concurrently_with_the_writer(given: Given) -> None:
    """A connection that has read nothing checkpoints nothing, and leaves that to the writer."""
    store = given.store
    assert isinstance(store, SqliteStore)
    await given.publish(given.event(payload=PAYLOAD))
    pages, copied = store._checkpointer._db.wal_checkpoint()
    assert pages == copied > 60


async def test_a_store_that_is_closed_while_its_log_is_copied_closes(given: Given) -> None:
    store = given.store
    assert isinstance(store, SqliteStore)
    checkpointer, begun, end = store._checkpointer, threading.Event(), threading.Event()

    def copy_slowly() -> None:
        begun.set()
        end.wait(30)

    checkpointer._copy_most = copy_slowly  # type: ignore[method-assign]
    await given.publish(*[given.event(payload=PAYLOAD) for _ in range(20)])
    await until(begun.is_set)
    closing = asyncio.create_task(given.close())
    await until(lambda: checkpointer._closing)
    end.set()
    async with asyncio.timeout(30):
        await closing
