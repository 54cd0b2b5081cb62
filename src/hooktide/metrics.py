"""What Prometheus reads at ``/metrics``. Names are stable; ``docs/operations.md`` explains each.

Everything is counted on the event loop, so plain numbers do: prometheus-client's own counters take
a lock each time, which at our rates costs more than the signature. It writes the page.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Count:
    """A counter, by the values of at most one label."""

    def __init__(self, name: str, text: str, label: str = "", values: tuple[str, ...] = ()) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._by_value = dict.fromkeys(values, 0) if label else {"": 0}

    def add(self, number: int = 1, value: str = "") -> None:
        """Count ``number`` more."""
        self._by_value[value] = self._by_value.get(value, 0) + number

    def show(self) -> Metric:
        """Return the numbers as Prometheus has them."""
        labels = [self._label] if self._label else []
        family = CounterMetricFamily(self._name, self._text, labels=labels)
        for value, number in self._by_value.items():
            family.add_metric([value] if self._label else [], number)
        return family


class Spread:
    """A histogram of seconds."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def show(self) -> Metric:
        """Return the numbers as Prometheus has them."""
        below, buckets = 0, []
        for bound, count in zip([*map(str, _SECONDS), "+Inf"], self._counts, strict=True):
            below += count
            buckets.append((bound, below))
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], buckets, self._sum)
        return family


class Metrics(Collector):
    """This process's numbers."""

    def __init__(self) -> None:
        self.accepted = Count("hooktide_events_accepted", "Events answered 202.")
        self.refused = Count("hooktide_events_refused", "Events refused, by reason.", "code")
        self._attempts = Count(
            "hooktide_attempts",
            "Attempts made, by what they meant.",
            "verdict",
            ("delivered", "retry", "failed", "gone", "again"),
        )
        self._errors = Count(
            "hooktide_attempt_errors", "Attempts without a valid answer, by error class.", "error"
        )
        self.accept_seconds = Spread(
            "hooktide_accept_seconds", "From a publish request's arrival to its answer."
        )
        self._attempt_seconds = Spread(
            "hooktide_attempt_seconds", "From an attempt's start to its end."
        )
        self._wait_seconds = Spread(
            "hooktide_first_attempt_wait_seconds",
            "From an event's acceptance to its first attempt.",
        )
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.pending = self._gauge("pending", "Deliveries pending: the queue's depth.")
        self.held = self._gauge("held", "Deliveries held back by a plan's hourly limit.")
        self.oldest_due = self._gauge(
            "oldest_due_seconds", "How long ago the oldest due delivery was due."
        )

    def collect(self) -> Iterator[Metric]:
        """Show what was counted here."""
        counts = (self.accepted, self.refused, self._attempts, self._errors)
        spreads = (self.accept_seconds, self._attempt_seconds, self._wait_seconds)
        yield from (each.show() for each in (*counts, *spreads))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"hooktide_deliveries_{name}", text, registry=self._registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when it is asked for."""
        Gauge(f"hooktide_{name}", text, registry=self._registry).set_function(read)

    def attempt(self, verdict: str, error: str, seconds: float, waited: float | None) -> None:
        """Count an attempt; ``waited`` is given for first attempts."""
        self._attempts.add(1, verdict)
        if error:
            self._errors.add(1, error)
        self._attempt_seconds.add(seconds)
        if waited is not None:
            self._wait_seconds.add(waited)

    def page(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self._registry)
