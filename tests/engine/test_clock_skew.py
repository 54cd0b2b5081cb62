"""A clock that differs from the database's causes a warning once an hour."""

import logging

import pytest

from hooktide.domain.model import HOUR, SECOND, Micros
from hooktide.engine.periodic.clock_skew import MAX_SKEW, ClockSkew

NOON: Micros = 1_767_268_800 * SECOND


class Clocks:
    """The database's clock stands at noon; this machine's is ``ahead`` of it."""

    def __init__(self) -> None:
        self.ahead: Micros = 0
        self.up: Micros = HOUR
        self.skew = ClockSkew(lambda: NOON, lambda: NOON + self.ahead, lambda: self.up)


async def warnings(clocks: Clocks, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "hooktide.engine"):
        await clocks.skew.check()
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("ahead", [-MAX_SKEW, 0, MAX_SKEW])
async def test_a_small_skew_is_measured_and_not_warned_about(
    caplog: pytest.LogCaptureFixture, ahead: Micros
) -> None:
    clocks = Clocks()
    clocks.ahead = ahead
    assert clocks.skew.skew == ahead
    assert await warnings(clocks, caplog) == []


@pytest.mark.parametrize(
    ("ahead", "words"),
    [(3 * HOUR, "10800 s ahead of the database's"), (-MAX_SKEW - 1, "30 s behind the database's")],
)
async def test_a_skew_is_warned_about_once_an_hour(
    caplog: pytest.LogCaptureFixture, ahead: Micros, words: str
) -> None:
    clocks = Clocks()
    clocks.ahead = ahead
    [warning] = await warnings(clocks, caplog)
    assert words in warning
    clocks.up += HOUR - 1
    assert await warnings(clocks, caplog) == []
    clocks.up += 1
    assert len(await warnings(clocks, caplog)) == 1


async def test_a_skew_that_comes_back_is_warned_about_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clocks = Clocks()
    for ahead, expected in ((HOUR, 1), (0, 0), (HOUR, 1)):
        clocks.ahead = ahead
        assert len(await warnings(clocks, caplog)) == expected
