"""What traces cost: CPU microseconds of an attempt, without traces and with them.

Run it as ``python -m bench.tracing``. The receiver answers at once and nothing is stored: what is
left is composing, signing, judging, and the span. Sending spans is not measured: nobody listens
where they go, and most are dropped.
"""

import asyncio
import importlib
import logging
import os
import statistics
import time
from types import SimpleNamespace
from typing import Any, cast

from hooktide.dialects import load
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.domain.model import SECOND, Claim, Endpoint, Event, Secret
from hooktide.domain.project.schedule import Schedule
from hooktide.engine.deliver import Deliverer
from hooktide.engine.destinations import Destination, Destinations
from hooktide.runtime.clock import wall_clock
from hooktide.store.contract import Store

ATTEMPTS = 20_000
ROUNDS = 7
ANSWER = Outcome(status=200, duration=1000)


class Nothing:
    """A store that keeps nothing, and a receiver that is content."""

    def record(self, *_: object) -> None:
        """Keep nothing."""

    async def post(self, *_: object) -> Outcome:
        """Answer at once."""
        return ANSWER


class One:
    """Destinations, of which there is one."""

    def __init__(self) -> None:
        target = check_url("https://receiver.example.com/hooks", UrlPolicy())
        self._one = Destination(
            endpoint=cast(Endpoint, SimpleNamespace(account_id=1)),
            project_name="bench",
            target=target,
            refused="",
            prefix=target.prefix,
            composer=compile_dialect(load("standard-webhooks").dialect),
            secrets=(Secret("s" * 32, b"s" * 32),),
            headers=b"",
            shown_headers=b"",
            schedule=Schedule((), 5 * SECOND),
            by_type={},
        )

    def ready(self, _: int) -> Destination:
        """Return it."""
        return self._one


def claim(number: int) -> Claim:
    """Make a claim of an event of about 200 bytes."""
    event = Event(
        id=number,
        account_id=1,
        type="invoice.paid",
        payload=b'{"id":"WAz8eIbvDR60rouK","total":12.10,"lines":[%b]}' % b",".join([b"1"] * 80),
        occurred_at=0,
    )
    return Claim(
        delivery_id=number,
        endpoint_id=1,
        event=event,
        attempt=1,
        token=1,
        due_at=0,
        lease_ends_at=0,
    )


def parts() -> dict[str, Any]:
    """Return what a deliverer is made of."""
    return {
        "store": cast(Store, Nothing()),
        "sender": Nothing(),
        "destinations": cast(Destinations, One()),
        "clock": wall_clock,
        "rand": lambda: 0.5,
        "on_attempt": lambda *_: None,
    }


async def measure(deliverer: Deliverer) -> float:
    """Return the microseconds of an attempt."""
    claims = [claim(number) for number in range(ATTEMPTS)]
    began = time.process_time_ns()
    for each in claims:
        await deliverer.attempt(each)
    return (time.process_time_ns() - began) / 1000 / ATTEMPTS


def deliverers() -> dict[str, Deliverer]:
    """Return what is compared, by what it is."""
    made = {"without traces": Deliverer(**parts())}
    try:
        tracing = importlib.import_module("hooktide.app.tracing")
    except ModuleNotFoundError:  # an earlier release, or OpenTelemetry is not installed
        return made
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    for sampler, name in (("always_off", "traces, none sampled"), ("always_on", "traces, all")):
        os.environ["OTEL_TRACES_SAMPLER"] = sampler
        made[name] = Deliverer(**parts())
        made[name].hook = tracing.Tracing(b"k" * 32, wall_clock)
    return made


def main() -> None:
    """Measure in turns, and print each one's median."""
    logging.disable()
    compared = deliverers()
    found: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(ROUNDS):
        for name, deliverer in compared.items():
            found[name].append(asyncio.run(measure(deliverer)))
    for name, micros in found.items():
        low, median = min(micros), statistics.median(micros)
        print(f"{name:22} {median:6.1f} us an attempt (least {low:.1f})")


if __name__ == "__main__":
    main()
