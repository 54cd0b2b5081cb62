"""Batched work of several clients: a failing item is found by bisection, and fails alone."""

from collections.abc import Sequence

import pytest

from hooktide.domain.errors import UnavailableError
from hooktide.store.writing.batch import in_halves, run_batch


class Work:
    """Adds numbers, unless a bad one is among them. Records the size of each batch."""

    def __init__(self, *bad: int, away_after: int = 1000) -> None:
        self.bad = set(bad)
        self.calls: list[int] = []
        self.done: list[int] = []
        self._away_after = away_after

    async def run(self, numbers: Sequence[int]) -> int:
        if len(self.calls) == self._away_after:
            raise UnavailableError("the database is away")
        self.calls.append(len(numbers))
        if self.bad.intersection(numbers):
            raise LookupError
        self.done += numbers
        return sum(numbers)


async def test_what_fails_is_alone_and_all_others_are_done_in_their_order() -> None:
    work = Work(3, 6)
    found = [(list(part), result) async for part, result in in_halves(range(8), work.run)]
    assert [part for part, result in found if isinstance(result, LookupError)] == [[3], [6]]
    assert [number for part, _ in found for number in part] == list(range(8))
    assert work.done == [0, 1, 2, 4, 5, 7]
    assert all(result == sum(part) for part, result in found if part not in ([3], [6]))


async def test_one_bad_item_of_a_thousand_costs_about_twenty_transactions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(617)
    await run_batch(range(1000), work.run, "add {}".format)
    assert len(work.done) == 999
    assert 10 <= len(work.calls) <= 21
    [logged] = caplog.records
    assert logged.getMessage() == "could not add 617; going on with the others"
    assert logged.exc_info is not None


async def test_nothing_is_run_for_nothing_and_one_item_is_run_once() -> None:
    work = Work(1)
    await run_batch([], work.run, str)
    await run_batch([1], work.run, str)
    assert work.calls == [1]


async def test_a_database_that_is_away_ends_all_of_it() -> None:
    work = Work(0, away_after=4)
    with pytest.raises(UnavailableError):
        await run_batch(range(8), work.run, str)
    assert work.calls == [8, 4, 2, 1]
