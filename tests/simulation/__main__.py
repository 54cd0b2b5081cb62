"""Runs seeds of the simulation: ``python -m simulation 1-200`` (``make simulate SEEDS=1-200``)."""

import sys
import time

from simulation.life import Report, simulate

from hooktide.domain.model import DAY


def main(seeds: str) -> int:
    """Run the seeds in order. Stop at the first that fails, and print its history."""
    first, _, last = seeds.partition("-")
    deliveries = attempts = span = 0
    began = time.process_time()
    for seed in range(int(first), int(last or first) + 1):
        report = simulate(seed)
        deliveries += report.deliveries
        attempts += report.attempts
        span += report.span
        if report.failure is not None:
            print(complain(report))
            return 1
    spent = time.process_time() - began
    print(
        f"seeds {seeds}: {deliveries:,} deliveries, {attempts:,} attempts, "
        f"{span / DAY:.1f} simulated days, in {spent:.1f} s; every invariant held"
    )
    return 0


def complain(report: Report) -> str:
    """Return which invariant broke, the history that led to it, and how to reproduce it."""
    if report.failure is None:
        return ""
    failure = report.failure
    return (
        f"seed {report.seed} breaks invariant {failure.invariant}: {failure.text}\n\n"
        f"{failure.story}\n\nTo see it again: make simulate SEEDS={report.seed}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
