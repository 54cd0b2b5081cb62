"""The metrics at ``/metrics``. Names are stable; ``docs/watching.md`` explains each.

Everything is counted on the event loop, so plain numbers are enough: prometheus-client's own
counters take a lock each time, which at our rates costs more than the signature. The library only
writes the page. If several processes serve one address, each provides its ``MetricsSnapshot`` and
the page shows their sum.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import msgspec
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of one process, or of several together, by name.

    ``counters`` are by label value; ``histograms`` hold the buckets and, last, the sum;
    ``gauges`` go up and down.
    """

    counters: dict[str, dict[str, int]] = {}
    histograms: dict[str, list[float]] = {}
    gauges: dict[str, float] = {}

    def ended(self) -> "MetricsSnapshot":
        """Return what remains of a process that has ended: everything but its gauges."""
        return MetricsSnapshot(counters=self.counters, histograms=self.histograms)


def add_up(snapshots: Sequence[MetricsSnapshot]) -> MetricsSnapshot:
    """Add the metrics of several processes."""
    total = MetricsSnapshot(counters={}, histograms={}, gauges={})
    for snapshot in snapshots:
        for name, by_value in snapshot.counters.items():
            counts = total.counters.setdefault(name, {})
            for value, number in by_value.items():
                counts[value] = counts.get(value, 0) + number
        for name, histogram in snapshot.histograms.items():
            total.histograms[name] = _add(total.histograms.get(name), histogram)
        for name, gauge in snapshot.gauges.items():
            known = total.gauges.get(name, 0)
            added = max(known, gauge, key=abs) if name in _NOT_ADDED else known + gauge
            total.gauges[name] = added
    return total


CLOCK_SKEW = "clock_skew_seconds"
RETENTION_PAUSED = "retention_paused"
_NOT_ADDED = {f"hooktide_{CLOCK_SKEW}", f"hooktide_{RETENTION_PAUSED}"}
"""For these, the value farthest from 0 is shown."""


def _add(total: list[float] | None, histogram: list[float]) -> list[float]:
    if total is None or len(total) != len(histogram):  # another version's buckets cannot be added
        return list(histogram)
    return [one + other for one, other in zip(total, histogram, strict=True)]


class Counter:
    """A counter, by the values of at most one label."""

    def __init__(self, name: str, text: str, label: str = "", values: tuple[str, ...] = ()) -> None:
        self.name = name
        self._text = text
        self.label = label
        self.by_value = dict.fromkeys(values, 0) if label else {"": 0}

    def add(self, number: int = 1, value: str = "") -> None:
        """Count ``number`` more."""
        self.by_value[value] = self.by_value.get(value, 0) + number

    def show(self, by_value: dict[str, int]) -> Metric:
        """Return these numbers as Prometheus has them."""
        labels = [self.label] if self.label else []
        family = CounterMetricFamily(self.name, self._text, labels=labels)
        for value, number in by_value.items():
            family.add_metric([value] if self.label else [], number)
        return family


class Histogram:
    """A histogram of seconds."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    @property
    def numbers(self) -> list[float]:
        """How many are in each bucket, and last the sum of all."""
        return [*self._counts, self._sum]

    def add(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def show(self, numbers: Sequence[float]) -> Metric:
        """Return these numbers as Prometheus has them."""
        below, buckets = 0.0, []
        for bound, count in zip([*map(str, _SECONDS), "+Inf"], numbers[:-1], strict=True):
            below += count
            buckets.append((bound, below))
        family = HistogramMetricFamily(self.name, self._text)
        family.add_metric([], buckets, numbers[-1])
        return family


class Gauge:
    """A number that goes up and down. ``now`` is None while it is not known."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text
        self.now: float | None = None

    def show(self, number: float) -> Metric:
        """Return this number as Prometheus has it."""
        return GaugeMetricFamily(self.name, self._text, value=number)


class CallbackGauge(Gauge):
    """A number that is read when it is asked for."""

    def __init__(self, name: str, text: str, read: Callable[[], float]) -> None:
        super().__init__(name, text)
        self.read = read


class Metrics:
    """This process's numbers."""

    def __init__(self) -> None:
        self.accepted = Counter("hooktide_events_accepted", "Events answered 202.")
        self.refused = Counter(
            "hooktide_events_refused", "Publish requests refused, by problem code.", "code"
        )
        self.unknown_account = Counter(
            "hooktide_events_unknown_account",
            "Events for accounts that do not exist, answered 202 and not stored; by project.",
            "project",
        )
        self._attempts = Counter(
            "hooktide_attempts",
            "Attempts by verdict: delivered, retry, failed (the last retry), gone (410), requeued "
            "(an internal error, not counted as an attempt of the delivery).",
            "verdict",
            ("delivered", "retry", "failed", "gone", "requeued"),
        )
        self._errors = Counter(
            "hooktide_attempt_errors", "Attempts without a valid response, by error class.", "error"
        )
        self.accept_seconds = Histogram(
            "hooktide_accept_seconds", "From a publish request's arrival to its response."
        )
        self._attempt_seconds = Histogram(
            "hooktide_attempt_seconds", "From an attempt's start to its end."
        )
        self._wait_seconds = Histogram(
            "hooktide_first_attempt_wait_seconds",
            "From an event's acceptance to its first attempt.",
        )
        self.pending = Gauge(
            "hooktide_deliveries_pending",
            "Waiting deliveries, including those for a later retry: the queue's depth.",
        )
        self.held = Gauge(
            "hooktide_deliveries_held", "Deliveries held back by a plan's hourly limit."
        )
        self.oldest_due = Gauge(
            "hooktide_deliveries_oldest_due_seconds",
            "How long ago the oldest due delivery was due.",
        )
        self.refused_emitted = Gauge(
            "hooktide_emitted_refused",
            "Emitted events in this database that were refused and wait for a retry or a discard.",
        )
        self.redated = Counter(
            "hooktide_redated_deliveries",
            "Waiting deliveries moved to an earlier time: a clock was set back, or retry delays "
            "were shortened.",
        )
        self._counters: tuple[Counter, ...] = (
            self.accepted,
            self.refused,
            self.unknown_account,
            self._attempts,
            self._errors,
            self.redated,
        )
        self._histograms = (self.accept_seconds, self._attempt_seconds, self._wait_seconds)
        self._database_gauges = (
            self.pending,
            self.held,
            self.oldest_due,
            self.refused_emitted,
        )
        self._own: list[CallbackGauge] = []
        self._read: list[tuple[Counter, Callable[[], int]]] = []

    def watch_count(self, name: str, text: str, read: Callable[[], int]) -> None:
        """Register a counter that is read on request."""
        counter = Counter(f"hooktide_{name}", text)
        self._read.append((counter, read))
        self._counters = (*self._counters, counter)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register a gauge that is read on request."""
        self._own.append(CallbackGauge(f"hooktide_{name}", text, read))

    def attempt(self, verdict: str, error: str, seconds: float, waited: float | None) -> None:
        """Count an attempt; ``waited`` is given for first attempts."""
        self._attempts.add(1, verdict)
        if error:
            self._errors.add(1, error)
        self._attempt_seconds.add(seconds)
        if waited is not None:
            self._wait_seconds.add(waited)

    def snapshot(self) -> MetricsSnapshot:
        """Return what was counted here so far."""
        for counter, read in self._read:
            counter.by_value[""] = read()
        return MetricsSnapshot(
            counters={counter.name: dict(counter.by_value) for counter in self._counters},
            histograms={histogram.name: histogram.numbers for histogram in self._histograms},
            # A boolean would not be decoded as a number by the other processes.
            gauges={gauge.name: float(gauge.read()) for gauge in self._own},
        )

    def page(self, snapshot: MetricsSnapshot) -> bytes:
        """Write these metrics, and those of the database, in Prometheus' format."""
        return generate_latest(_Page(self._shown(snapshot)))

    def _shown(self, snapshot: MetricsSnapshot) -> Iterator[Metric]:
        for counter in self._counters:
            yield counter.show(snapshot.counters.get(counter.name, {}))
        for histogram in self._histograms:
            yield histogram.show(snapshot.histograms.get(histogram.name, histogram.numbers))
        for gauge in self._own:
            yield gauge.show(snapshot.gauges.get(gauge.name, 0))
        for database_gauge in self._database_gauges:
            if database_gauge.now is not None:
                yield database_gauge.show(database_gauge.now)


class _Page(Collector):
    def __init__(self, metrics: Iterator[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics
