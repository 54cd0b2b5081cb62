"""The delay before each retry of a delivery. ``verdict.judge`` adds the jitter."""

from dataclasses import dataclass

from hooktide.domain.model import DAY, HOUR, SECOND, Micros
from hooktide.domain.toml_table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry schedule.

    Parameters
    ----------
    first
        The delay before the first retry.
    factor
        Each delay is this many times the one before.
    max
        No delay is longer.
    delays
        An explicit list of delays instead; the last one repeats.
    """

    first: Micros = 10 * SECOND
    factor: float = 6.0
    max: Micros = 12 * HOUR
    delays: tuple[Micros, ...] = ()


def delays(schedule: Retry, retries: int) -> tuple[Micros, ...]:
    """Return the delay before each of ``retries`` retries."""
    if schedule.delays:
        last = len(schedule.delays) - 1
        return tuple(schedule.delays[min(turn, last)] for turn in range(retries))
    return tuple(
        round(min(schedule.first * schedule.factor**turn, schedule.max)) for turn in range(retries)
    )


def read_retry(table: Table) -> Retry:
    """Read the ``[retry]`` table of a project file.

    :raises ConfigError: the table is invalid.
    """
    plain = Retry()
    retry = Retry(
        first=table.span("first", plain.first, SECOND, DAY),
        factor=table.number("factor", plain.factor, 1, 100),
        max=table.span("max", plain.max, SECOND, 7 * DAY),
        delays=table.spans("delays", SECOND, 7 * DAY),
    )
    table.done()
    if retry.delays and any(key in table for key in ("first", "factor", "max")):
        raise table.wrong("delays", "give either delays, or first, factor and max")
    return retry
