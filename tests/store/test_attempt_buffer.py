"""How long attempts are collected before they are recorded; on virtual time."""

import asyncio
from pathlib import Path

import pytest
from simulation.loop import VirtualLoop

from hooktide.actions.database import open_store
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import Attempt, Claim, Event
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import Vault
from hooktide.store.base import AttemptRecord
from hooktide.store.sqlite import SqliteStore
from hooktide.store.writing.attempt_buffer import AttemptBuffer
from hooktide.store.writing.batch import RECORD_BATCH_SIZE

EVENT = Event(
    id=1, account_id=1, type="paid", payload=b"{}", occurred_at=0, transition="", test=False
)


def record(number: int) -> AttemptRecord:
    claim = Claim(
        delivery_id=number,
        endpoint_id=1,
        event=EVENT,
        attempt=1,
        token=1,
        lease_ends_at=0,
        due_at=0,
    )
    attempt = Attempt(
        delivery_id=number,
        number=1,
        started_at=0,
        duration=1,
        status=200,
        error="",
        detail="",
        request_head=b"",
        response_head=b"",
        response_body=b"",
        response_truncated=False,
    )
    return AttemptRecord(claim, attempt, Delivered())


@pytest.mark.parametrize("delay", [0.0, 0.01, 1.0])
def test_attempts_go_when_the_first_has_waited_as_long_as_the_setting_says(delay: float) -> None:
    async def wait() -> None:
        loop = asyncio.get_running_loop()
        ripe: asyncio.Future[float] = loop.create_future()
        buffer = AttemptBuffer(lambda: ripe.set_result(loop.time()), delay)
        began = loop.time()
        buffer.add(record(1))
        await asyncio.sleep(delay / 2)
        buffer.add(record(2))
        assert await ripe - began == pytest.approx(delay, abs=0.001)
        assert len(buffer.take()) == 2

    VirtualLoop().run(wait())


def test_many_attempts_wait_for_nothing() -> None:
    async def fill() -> None:
        ripe: list[int] = []
        buffer = AttemptBuffer(lambda: ripe.append(1), 1.0)
        for number in range(RECORD_BATCH_SIZE):
            assert not ripe
            buffer.add(record(number))
        assert ripe

    VirtualLoop().run(fill())


async def test_a_stores_attempts_wait_as_long_as_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(database=str(tmp_path / "hooktide.db"), record_within=250)
    store = await open_store(settings, Vault(b"k" * 32))
    assert isinstance(store, SqliteStore)
    assert store._writer._attempts._delay == 0.25
    await store.close()
