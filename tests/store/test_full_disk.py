"""A full disk under PostgreSQL: writes are refused, nothing is lost, and the store recovers.

The disk is a small file system with a tablespace if the test may mount one. Otherwise, and in a
separate test, triggers raise PostgreSQL's error (SQLSTATE 53100).
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import diskkit
import msgspec
import pytest
from postgreskit import database, tablespace_in, temporary_folder
from storekit import NOON, Given, Place, at_last, until

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Scope
from hooktide.store.base import AttemptRecord
from hooktide.web.problems.problem_table import PROBLEMS

MEGABYTES = 48
MANY = 300
REFUSE = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE FUNCTION no_room_for_tables() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON hooktide.events
    FOR EACH ROW EXECUTE FUNCTION no_room();
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON hooktide.queue
    FOR EACH ROW EXECUTE FUNCTION no_room();
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON hooktide.attempts
    FOR EACH ROW EXECUTE FUNCTION no_room();
CREATE EVENT TRIGGER no_room ON ddl_command_start WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION no_room_for_tables();
"""
GO_ON = """
DROP EVENT TRIGGER no_room;
DROP FUNCTION no_room_for_tables;
DROP FUNCTION no_room CASCADE;
"""


@dataclass
class Disk:
    """The database's disk. ``folder`` is the small file system, or ``None`` if there is none."""

    url: str
    folder: Path | None

    async def fill(self) -> None:
        if self.folder is None:
            await self._run(REFUSE)
        else:
            await self._run("CHECKPOINT")  # frees the space of dropped tables
            diskkit.fill(self.folder)

    async def free(self) -> None:
        if self.folder is None:
            await self._run(GO_ON)
        else:
            diskkit.free(self.folder)

    async def _run(self, sql: str) -> None:
        operator = await asyncpg.connect(self.url)
        await operator.execute(sql)
        await operator.close()


@pytest.fixture(params=["a small disk", "triggers"])
async def disk(request: pytest.FixtureRequest) -> AsyncIterator[Disk]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        if request.param == "triggers" or not diskkit.mounted(folder, MEGABYTES):
            yield Disk(await stack.enter_async_context(database()), None)
            return
        stack.callback(diskkit.unmount, folder)
        (folder / "space").mkdir()
        space = await stack.enter_async_context(tablespace_in(folder / "space"))
        url = await stack.enter_async_context(database(tablespace=space))
        yield Disk(url, folder)


@pytest.fixture
async def given(disk: Disk) -> AsyncIterator[Given]:
    given = Given(Place(disk.url))
    await given.open()
    await given.begin()
    yield given
    await given.close()


def is_told(error: UnavailableError) -> None:
    """Check what a caller reads."""
    assert error.detail == "the database's disk is full: free some space"
    assert (PROBLEMS[error.code].status, error.retry_after) == (503, 10)


async def test_what_has_no_room_is_refused_and_is_accepted_once_there_is(
    given: Given, disk: Disk
) -> None:
    await given.publish()
    await disk.fill()
    with pytest.raises(UnavailableError) as refused:
        await given.publish(*[given.event(payload=os.urandom(50_000))] * 10)
    is_told(refused.value)
    with pytest.raises(UnavailableError) as not_ready:
        await given.store.check()
    is_told(not_ready.value)
    assert len((await given.store.list_events(Scope(), None, 1000)).items) == 1
    await disk.free()
    await given.store.check()
    assert len(await given.publish(*[given.event(payload=os.urandom(50_000))] * 10)) == 10
    assert (await given.store.counts()).pending == 11


async def test_what_cannot_be_claimed_is_claimed_once_there_is_room(
    given: Given, disk: Disk
) -> None:
    await given.publish(*[given.event() for _ in range(MANY)])
    await disk.fill()
    with pytest.raises(UnavailableError) as refused:
        await given.claim(each=MANY)
    is_told(refused.value)
    await disk.free()
    claims = await at_last(lambda: given.claim(each=MANY))
    assert len({claim.delivery_id for claim in claims}) == MANY
    assert await given.claim(each=MANY) == []


async def test_what_cannot_be_recorded_is_recorded_once_there_is_room(
    given: Given, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    await given.publish()
    [claim] = await given.claim()
    await disk.fill()
    attempt = msgspec.structs.replace(given.attempt(claim), response_body=os.urandom(60_000))
    given.store.record(AttemptRecord(claim, attempt, Delivered()))
    await until(lambda: "the database's disk is full" in caplog.text)
    assert await given.state(claim) == "pending"
    await disk.free()
    await given.store.recorded()
    assert await given.state(claim) == "delivered"
    [made] = await given.store.list_attempts(Scope(), claim.delivery_id)
    assert made.response_body == attempt.response_body
    assert (await given.store.counts()).pending == 0
    assert await given.claim(NOON) == []
