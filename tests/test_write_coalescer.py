"""Writes in one iteration of the event loop are combined, and each fails or succeeds on its own."""

import asyncio
from collections.abc import Callable

import pytest

from hooktide.runtime.write_coalescer import WriteCoalescer


async def test_the_writes_of_an_iteration_are_made_at_its_end_in_order() -> None:
    coalescer, made = WriteCoalescer(), []
    coalescer.add(lambda: made.append("first"))
    coalescer.add(lambda: made.append("second"))
    assert made == []
    await asyncio.sleep(0)
    assert made == ["first", "second"]


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_write_that_raises_stops_none_of_the_others(
    place: int, caplog: pytest.LogCaptureFixture
) -> None:
    coalescer, made = WriteCoalescer(), []

    def fail() -> None:
        raise RuntimeError("the handler is closed")

    writes: list[Callable[[], None]] = [lambda: made.append("a"), lambda: made.append("b")]
    writes.insert(place, fail)
    for write in writes:
        coalescer.add(write)
    await asyncio.sleep(0)
    assert made == ["a", "b"]
    assert "the handler is closed" in caplog.text
    coalescer.add(lambda: made.append("c"))
    await asyncio.sleep(0)
    assert made == ["a", "b", "c"]
