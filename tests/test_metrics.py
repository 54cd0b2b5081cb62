"""The Prometheus metrics of one process, or the sum of several."""

import msgspec

from hooktide.runtime.metrics import CLOCK_SKEW, RETENTION_PAUSED, Metrics, MetricsSnapshot, add_up


def counted(accepted: int, seconds: float, in_flight: float) -> Metrics:
    metrics = Metrics()
    metrics.watch("in_flight", "Requests out.", lambda: in_flight)
    metrics.accepted.add(accepted)
    metrics.accept_seconds.add(seconds)
    metrics.attempt("delivered", "", seconds, seconds)
    return metrics


def lines(page: bytes, name: str) -> list[str]:
    return [line for line in page.decode().splitlines() if line.startswith(name)]


def test_several_processes_show_the_sum_of_what_each_has_counted() -> None:
    one, other = counted(3, 0.002, 5), counted(4, 20.0, 7)
    other.attempt("retry", "timeout", 1.0, None)
    page = one.page(add_up([one.snapshot(), other.snapshot()]))
    assert lines(page, "hooktide_events_accepted_total") == ["hooktide_events_accepted_total 7.0"]
    assert lines(page, "hooktide_in_flight") == ["hooktide_in_flight 12.0"]
    assert lines(page, "hooktide_accept_seconds_count") == ["hooktide_accept_seconds_count 2.0"]
    assert lines(page, "hooktide_accept_seconds_sum") == ["hooktide_accept_seconds_sum 20.002"]
    assert 'hooktide_accept_seconds_bucket{le="0.0025"} 1.0' in page.decode()
    assert 'hooktide_attempts_total{verdict="delivered"} 2.0' in page.decode()
    assert 'hooktide_attempts_total{verdict="retry"} 1.0' in page.decode()
    assert 'hooktide_attempt_errors_total{error="timeout"} 1.0' in page.decode()


def test_of_several_processes_clocks_the_one_that_is_farthest_off_is_shown() -> None:
    given = []
    for skew in (2.0, -90.0, 0.5):
        metrics = Metrics()
        metrics.watch(CLOCK_SKEW, "Skew.", lambda skew=skew: skew)  # type: ignore[misc]
        given.append(metrics.snapshot())
    assert add_up(given).gauges == {"hooktide_clock_skew_seconds": -90.0}


def test_a_level_that_is_true_reaches_the_other_processes_and_is_not_added() -> None:
    metrics = Metrics()
    metrics.watch(RETENTION_PAUSED, "Paused.", lambda: True)
    heard = msgspec.json.decode(msgspec.json.encode(metrics.snapshot()), type=MetricsSnapshot)
    assert add_up([heard, heard]).gauges == {"hooktide_retention_paused": 1.0}


def test_of_a_process_that_has_ended_remains_what_it_counted_and_nothing_that_it_had() -> None:
    gone, here = counted(3, 0.1, 5).snapshot().ended(), counted(4, 0.1, 7)
    total = add_up([gone, here.snapshot()])
    assert total.counters["hooktide_events_accepted"] == {"": 7}
    assert total.gauges == {"hooktide_in_flight": 7}


def test_another_versions_numbers_change_nothing_but_themselves() -> None:
    here = counted(4, 0.1, 7).snapshot()
    newer = MetricsSnapshot(
        counters={"hooktide_events_accepted": {"": 1}, "hooktide_news": {"": 9}},
        histograms={"hooktide_accept_seconds": [1.0, 2.0, 3.0]},
    )
    total = add_up([newer, here])
    assert total.counters["hooktide_events_accepted"] == {"": 5}
    assert total.histograms["hooktide_accept_seconds"] == here.histograms["hooktide_accept_seconds"]
    assert total.gauges == here.gauges


def test_adding_up_changes_none_of_what_is_added() -> None:
    one, other = counted(3, 0.1, 5), counted(4, 0.1, 7)
    numbers = one.snapshot()
    add_up([numbers, other.snapshot()])
    assert numbers == one.snapshot()


def test_what_is_not_known_of_the_database_is_not_shown() -> None:
    metrics = Metrics()
    assert lines(metrics.page(metrics.snapshot()), "hooktide_deliveries") == []
    metrics.pending.now = 5
    shown = lines(metrics.page(metrics.snapshot()), "hooktide_deliveries")
    assert shown == ["hooktide_deliveries_pending 5.0"]


def test_a_number_that_is_read_as_true_or_false_reaches_the_other_processes() -> None:
    metrics = Metrics()
    metrics.watch("paused", "Paused.", lambda: True)
    sent = msgspec.json.encode(metrics.snapshot())
    assert msgspec.json.decode(sent, type=MetricsSnapshot).gauges == {"hooktide_paused": 1.0}
