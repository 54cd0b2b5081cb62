"""What was found: figures, each beside its target if it has one, as a table and as JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number. ``at_least`` and ``at_most`` are its targets; most numbers have none."""

    phase: str
    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """Its target, as text."""
        if self.at_least is not None:
            return f">= {self.at_least:,g}"
        return f"<= {self.at_most:,g}" if self.at_most is not None else ""

    @property
    def verdict(self) -> str:
        """``met`` or ``MISSED``, or nothing where there is no target."""
        if not self.target:
            return ""
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return "MISSED" if low or high else "met"


class Report(msgspec.Struct, kw_only=True):
    """All of a run: on what machine, with what settings, what was found and what went wrong."""

    machine: dict[str, str]
    settings: dict[str, str]
    figures: list[Figure] = []
    problems: list[str] = []

    def value(self, phase: str, name: str) -> float | None:
        """Return a number found earlier in the run."""
        found = [one.value for one in self.figures if (one.phase, one.name) == (phase, name)]
        return found[0] if found else None

    def write(self, file: Path) -> None:
        """Write it as JSON, each figure with its verdict."""
        plain = msgspec.to_builtins(self)
        for row, one in zip(plain["figures"], self.figures, strict=True):
            row["verdict"] = one.verdict
        file.write_bytes(msgspec.json.format(msgspec.json.encode(plain)) + b"\n")

    def text(self) -> str:
        """Write it for people."""
        return "\n".join([*self._head(), "", *table(self.figures), *self._tail()])

    def _head(self) -> Iterator[str]:
        for title, pairs in (("machine", self.machine), ("settings", self.settings)):
            yield f"{title}: " + ", ".join(f"{key} {value}" for key, value in pairs.items())

    def _tail(self) -> Iterator[str]:
        missed = [one for one in self.figures if one.verdict == "MISSED"]
        met = [one for one in self.figures if one.verdict == "met"]
        yield ""
        yield f"{len(met)} targets met, {len(missed)} missed, {len(self.problems)} problems"
        yield from (f"problem: {problem}" for problem in self.problems)


HEADS = ("phase", "what", "value", "unit", "target", "verdict")


def table(figures: Sequence[Figure]) -> list[str]:
    """Write figures in columns; the phase is named once."""
    rows: list[tuple[str, ...]] = [HEADS]
    last = ""
    for one in figures:
        phase = one.phase if one.phase != last else ""
        rows.append((phase, one.name, shown(one.value), one.unit, one.target, one.verdict))
        last = one.phase
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return [_row(row, widths) for row in rows]


def shown(value: float) -> str:
    """Write a number with as many digits as it deserves."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _row(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    cells[2] = row[2].rjust(widths[2])
    return "  ".join(cells).rstrip()
