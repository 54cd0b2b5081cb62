"""A chart as a drawing of bars, as a sentence, and as a table: all three say the same.

The drawing is 100 by 100 and stretched by the style sheet; its labels are text of the page, so they
have the normal size on every screen.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hooktide.actions.statistics import Figures, Period
from hooktide.domain.delivery.causes import Cause, cause
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros
from hooktide.domain.phrase import Phrase, counted, phrase
from hooktide.domain.stats import CauseCount, ChartPoint, Percentiles
from hooktide.web.pages.framework.formats import duration, minute, number, short

GAP = 0.22
"""The gap between bars, as a share of their width."""
LEAST = 1.5
"""The minimum height of a nonzero bar."""


@dataclass(frozen=True, slots=True)
class Span:
    """The period of a chart, its steps, and its labels."""

    name: str
    short: Phrase
    title: Phrase
    length: Micros
    step_minutes: int
    ticks: tuple[str, ...]

    @property
    def hours(self) -> int:
        """A bar's time in hours; 0: it is less."""
        return self.step_minutes // 60

    @property
    def step(self) -> Micros:
        """A bar's time."""
        return self.step_minutes * MINUTE

    def around(self, now: Micros) -> tuple[Micros, Micros]:
        """Return the period around an instant, in whole steps."""
        until = (now // self.step + 1) * self.step
        return until - self.length, until

    def period(self, now: Micros) -> Period:
        """Return what is counted for the chart at an instant."""
        return Period(*self.around(now), self.step_minutes)


_NOW = phrase("now")
_OF_A_DAY = (phrase("24 h ago"), phrase("12 h ago"), _NOW)
_OF_AN_HOUR = (phrase("60 min ago"), phrase("30 min ago"), _NOW)
_OF_A_WEEK = (phrase("7 days ago"), phrase("3½ days ago"), _NOW)
_OF_A_MONTH = (phrase("30 days ago"), phrase("15 days ago"), _NOW)
_WEEK = Span("week", phrase("Week"), phrase("Last 7 days"), 7 * DAY, 120, _OF_A_WEEK)
_MONTH = Span("month", phrase("Month"), phrase("Last 30 days"), 30 * DAY, 1440, _OF_A_MONTH)
_DAY = Span("day", phrase("Day"), phrase("Last 24 hours"), DAY, 60, _OF_A_DAY)

SPANS = {
    each.name: each
    for each in (
        Span("hour", phrase("Hour"), phrase("Last hour"), HOUR, 1, _OF_AN_HOUR),
        Span("day", phrase("Day"), phrase("Last 24 hours"), DAY, 15, _OF_A_DAY),
        _WEEK,
        _MONTH,
    )
}
HOURLY = {each.name: each for each in (_DAY, _WEEK, _MONTH)}
"""Those of what is counted by the hour: percentiles, and all of an account or an endpoint."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a chart: its name, its colour class, and how to read a point."""

    name: str
    kind: str
    read: Callable[[ChartPoint], int]


OUTCOMES = (
    Series(phrase("delivered"), "good", lambda point: point.delivered),
    Series(phrase("failed"), "bad", lambda point: point.failed),
    Series(phrase("discarded"), "quiet", lambda point: point.discarded),
)


@dataclass(frozen=True, slots=True)
class CauseRow:
    """A cause of failures, and what it does."""

    cause: Cause
    counts: CauseCount


def causes_of(figures: Figures) -> list[CauseRow]:
    """Return the causes of failures that were counted."""
    return [CauseRow(cause(each.cause), each) for each in figures.causes]


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
    """The bar of one step: its pieces, and its description."""

    x: float
    width: float
    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A legend entry: the colour class, the name, and the total."""

    kind: str
    name: str
    total: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its description. ``rows`` are the steps where something happened."""

    id: str
    title: str
    keys: tuple[Key, ...]
    top: str
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    alt: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def make_chart(
    id: str, title: str, span: Span, points: Sequence[ChartPoint], series: tuple[Series, ...]
) -> Chart:
    """Draw points, one series on top of the other."""
    values = [tuple(each.read(point) for each in series) for point in points]
    top = nice(max((sum(each) for each in values), default=0))
    totals = tuple(sum(each[at] for each in values) for at in range(len(series)))
    labels = [minute(point.at) for point in points]
    said = _listed(_of(number(n), each.name) for n, each in zip(totals, series, strict=True))
    return Chart(
        id=id,
        title=title,
        keys=tuple(
            Key(each.kind, each.name, number(n)) for n, each in zip(totals, series, strict=True)
        ),
        top=short(top),
        bars=tuple(
            _bar(at, len(values), labels[at], each, top, series) for at, each in enumerate(values)
        ),
        ticks=span.ticks,
        alt=phrase(
            "{title}. {period}: {values}; at most {most} in {step}.",
            title=title,
            period=span.title,
            values=said,
            most=number(_most(values)),
            step=_step(span),
        ),
        rows=tuple(
            (labels[at], tuple(map(number, each))) for at, each in enumerate(values) if any(each)
        ),
    )


def make_latency_chart(
    id: str,
    title: str,
    span: Span,
    whole: Percentiles,
    steps: Sequence[tuple[Micros, Percentiles]],
) -> Chart:
    """Draw the percentiles of each step: the bars of 99, 95 and 50 % one behind the other."""
    spans = [tuple(each or 0 for each in _three(found)) for _, found in steps]
    top = nice_span(max((each[-1] for each in spans), default=0))
    labels = [minute(at) for at, _ in steps]
    said = _listed(_of(name, duration(n)) for name, n in zip(_NAMES, _three(whole), strict=True))
    bars = []
    for at, each in enumerate(spans):
        risen = (each[0], each[1] - each[0], each[2] - each[1])
        told = _listed(_of(name, duration(n)) for name, n in zip(_NAMES, each, strict=True))
        bars.append(_drawn(at, len(spans), _told(labels[at], told), risen, top, _KINDS))
    return Chart(
        id=id,
        title=title,
        keys=tuple(
            Key(kind, name, duration(n))
            for kind, name, n in zip(_KINDS, _NAMES, _three(whole), strict=True)
        ),
        top=duration(top),
        bars=tuple(bars),
        ticks=span.ticks,
        alt=phrase("{title}. {period}: {values}.", title=title, period=span.title, values=said),
        rows=tuple(
            (label, tuple(map(duration, _three(found))))
            for label, (_, found) in zip(labels, steps, strict=True)
            if found.count
        ),
    )


def charts_of(figures: Figures, span: Span, hourly: Span | None = None) -> tuple[Chart, ...]:
    """Draw outcomes, response time, and how long deliveries take from acceptance on.

    ``hourly`` is the span of the last two, if not the same.
    """
    latencies, hourly = figures.latencies, hourly or span
    return (
        make_chart("deliveries", phrase("Deliveries by outcome"), span, figures.points, OUTCOMES),
        make_latency_chart(
            "latency",
            phrase("Response time"),
            hourly,
            latencies.whole.attempts,
            [(each.at, each.attempts) for each in latencies.steps],
        ),
        make_latency_chart(
            "delay",
            phrase("From acceptance to delivery"),
            hourly,
            latencies.whole.deliveries,
            [(each.at, each.deliveries) for each in latencies.steps],
        ),
    )


def figures_facts(figures: Figures, span: Span) -> dict[str, Any]:
    """Return what the template ``views/figures.html`` shows of an account or an endpoint."""
    return {
        "span": span,
        "spans": HOURLY.values(),
        "figures": figures,
        "charts": charts_of(figures, span),
        "causes": causes_of(figures),
    }


_NAMES = ("p50", "p95", "p99")
_KINDS = ("plain", "middle", "faint")


def _three(found: Percentiles) -> tuple[Micros | None, ...]:
    return found.p50, found.p95, found.p99


def _most(values: Sequence[tuple[int, ...]]) -> int:
    return max((sum(each) for each in values), default=0)


def _step(span: Span) -> str:
    minutes = span.step_minutes
    named = {1: phrase("a minute"), 60: phrase("an hour"), 1440: phrase("a day")}
    return named.get(minutes) or (
        counted(minutes, "minute") if minutes < 60 else counted(minutes // 60, "hour")
    )


def _of(first: str, second: str) -> Phrase:
    return phrase("{first} {second}", first=first, second=second)


def _listed(said: Iterable[Phrase]) -> Phrase:
    """Join phrases with commas."""
    first, *others = said
    for each in others:
        first = phrase("{first}, {second}", first=first, second=each)
    return first


def _told(label: str, values: Phrase) -> Phrase:
    return phrase("{time} UTC: {values}", time=label, values=values)


def _bar(
    at: int,
    count: int,
    label: str,
    values: tuple[int, ...],
    top: int,
    series: tuple[Series, ...],
) -> Bar:
    said = _listed(_of(short(n), each.name) for n, each in zip(values, series, strict=True))
    kinds = tuple(each.kind for each in series)
    return _drawn(at, count, _told(label, said), values, top, kinds)


def _drawn(
    at: int, count: int, label: str, values: tuple[int, ...], top: int, kinds: tuple[str, ...]
) -> Bar:
    room = 100 / count
    x, width = at * room + room * GAP / 2, room * (1 - GAP)
    pieces, y = [], 100.0
    for value, kind in zip(values, kinds, strict=True):
        if value:
            height = max(LEAST, value * 100 / top)
            y -= height
            pieces.append(Piece(kind, round(x, 3), round(y, 2), round(width, 3), height))
    return Bar(round(at * room, 3), round(room, 3), label, tuple(pieces))


def nice_span(most: Micros) -> Micros:
    """Return the round span that a scale ends at: of milliseconds, seconds, minutes, hours."""
    unit = next((each for each in (SECOND // 1000, SECOND, MINUTE) if most <= 500 * each), HOUR)
    return nice(-(-most // unit)) * unit


def nice(most: int) -> int:
    """Return the round number that a scale ends at."""
    if most <= 5:
        return max(most, 1)
    size: int = 10 ** (len(str(most)) - 1)
    tops = [size * step // 2 for step in (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)]
    return next(top for top in tops if top >= most)
