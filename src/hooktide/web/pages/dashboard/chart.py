"""A chart as a drawing of bars, as a sentence, and as a table: all three say the same.

The drawing is 100 by 100 and stretched by the style sheet; its labels are text of the page, so they
have the normal size on every screen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hooktide.domain.model import DAY, HOUR, MINUTE, Micros
from hooktide.domain.stats import ChartPoint
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework.formats import number, short

GAP = 0.22
"""How much of a bar's room stays free."""
LEAST = 1.5
"""What is there at all is seen, however little it is."""


@dataclass(frozen=True, slots=True)
class Span:
    """How far a chart looks back, in which steps, and what it says of it."""

    name: str
    title: str
    length: Micros
    step_minutes: int
    ticks: tuple[str, ...]

    @property
    def step(self) -> Micros:
        """A bar's time."""
        return self.step_minutes * MINUTE

    def around(self, now: Micros) -> tuple[Micros, Micros]:
        """Return since when and until when to look, in whole steps."""
        until = (now // self.step + 1) * self.step
        return until - self.length, until


SPANS = {
    each.name: each
    for each in (
        Span("hour", "Last hour", HOUR, 1, ("60 min ago", "30 min ago", "now")),
        Span("day", "Last 24 hours", DAY, 15, ("24 h ago", "12 h ago", "now")),
        Span("week", "Last 7 days", 7 * DAY, 120, ("7 days ago", "3½ days ago", "now")),
    )
}


@dataclass(frozen=True, slots=True)
class Series:
    """One number of each point: its name, its colour's class, and how it is read."""

    name: str
    kind: str
    read: Callable[[ChartPoint], int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of one colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """What is above one step: its pieces, and what they say."""

    x: float
    width: float
    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what it says. ``rows`` are the steps where something happened."""

    id: str
    title: str
    series: tuple[Series, ...]
    totals: tuple[int, ...]
    top: int
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    alt: str
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def make_chart(
    id: str, title: str, span: Span, points: Sequence[ChartPoint], series: tuple[Series, ...]
) -> Chart:
    """Draw points, one series on top of the other."""
    values = [tuple(each.read(point) for each in series) for point in points]
    top = nice(max((sum(each) for each in values), default=0))
    totals = tuple(sum(each[at] for each in values) for at in range(len(series)))
    labels = [show_time(point.at)[:16].replace("T", " ") for point in points]
    said = ", ".join(f"{number(n)} {each.name}" for n, each in zip(totals, series, strict=True))
    return Chart(
        id=id,
        title=title,
        series=series,
        totals=totals,
        top=top,
        bars=tuple(
            _bar(at, len(values), labels[at], each, top, series) for at, each in enumerate(values)
        ),
        ticks=span.ticks,
        alt=f"{title}, {span.title.lower()}: {said}; at most {number(_most(values))} "
        f"in {_step(span)}.",
        rows=tuple((labels[at], each) for at, each in enumerate(values) if any(each)),
    )


def _most(values: Sequence[tuple[int, ...]]) -> int:
    return max((sum(each) for each in values), default=0)


def _step(span: Span) -> str:
    minutes = span.step_minutes
    if minutes == 1:
        return "a minute"
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} hours"


def _bar(
    at: int,
    count: int,
    label: str,
    values: tuple[int, ...],
    top: int,
    series: tuple[Series, ...],
) -> Bar:
    room = 100 / count
    x, width = at * room + room * GAP / 2, room * (1 - GAP)
    pieces, y = [], 100.0
    for value, each in zip(values, series, strict=True):
        if value:
            height = max(LEAST, value * 100 / top)
            y -= height
            pieces.append(Piece(each.kind, round(x, 3), round(y, 2), round(width, 3), height))
    said = ", ".join(f"{short(n)} {each.name}" for n, each in zip(values, series, strict=True))
    return Bar(round(at * room, 3), round(room, 3), f"{label} UTC: {said}", tuple(pieces))


def nice(most: int) -> int:
    """Return the round number that a scale ends at."""
    if most <= 5:
        return max(most, 1)
    size: int = 10 ** (len(str(most)) - 1)
    tops = [size * step // 2 for step in (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)]
    return next(top for top in tops if top >= most)
