"""What scheduling costs: CPU microseconds of ``Worker`` for each delivery, without an attempt.

Run it as ``python -m bench.scheduling``. Nothing is sent and no database is asked: a stand-in gives
each attempt's outcome a turn of the event loop later. ``batch`` deliveries are handed over at a
time, once those before are done. To compare two versions, run them in turn with ``PYTHONPATH``.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import uvloop

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import HOUR, Attempt, Claim, Event, Micros
from hooktide.engine import worker as worker_module
from hooktide.engine.deliver import Deliverer
from hooktide.engine.worker import Worker
from hooktide.runtime.clock import StoreClock
from hooktide.store.base import AttemptRecord

ENDPOINTS = 200
ACCOUNTS = 20


class EmptyStore:
    """A store with nothing due and no rests."""

    def __init__(self) -> None:
        self.clock = StoreClock()

    def lease_shift(self) -> Micros:
        return self.clock.lease_shift()

    async def resting(self, now: Micros, ids: Sequence[int] | None = None) -> Mapping[int, Micros]:
        return {}

    async def due_heads(self) -> Mapping[int, Micros]:
        return {}

    async def recorded(self) -> None:
        return None

    async def release_claims(self, claims: Sequence[Claim], now: Micros) -> None:
        raise AssertionError("nothing is to be released")


class InstantDeliverer:
    """Makes every attempt a success, a turn of the event loop later."""

    def __init__(self) -> None:
        self.left = 0
        self.all_done = asyncio.Event()

    async def attempt(self, claim: Claim) -> AttemptRecord:
        await asyncio.sleep(0)
        self.left -= 1
        if not self.left:
            self.all_done.set()
        return AttemptRecord(claim, ATTEMPT, DELIVERED)


ATTEMPT = Attempt(
    delivery_id=1,
    number=1,
    started_at=0,
    duration=1000,
    status=200,
    error="",
    detail="",
    request_head=b"",
    response_head=b"",
    response_body=b"",
    response_truncated=False,
)
DELIVERED = Delivered()
PAYLOAD = b"x" * 1000


async def measure(batch: int, deliveries: int) -> float:
    """Return CPU microseconds per delivery."""
    store, deliverer = EmptyStore(), InstantDeliverer()
    limits = cast(Any, worker_module).Limits()
    worker = Worker(cast(Any, store), cast(Deliverer, deliverer), store.clock, limits)
    await worker.start()
    batches = [_claims(batch, first, store.clock()) for first in range(0, deliveries, batch)]
    began = time.process_time()
    for claims in batches:
        deliverer.left = len(claims)
        deliverer.all_done.clear()
        worker.handed_over(claims)
        await deliverer.all_done.wait()
    spent = time.process_time() - began
    while worker.in_flight:
        await asyncio.sleep(0)
    await worker.stop(1)
    return spent / deliveries * 1e6


def _claims(count: int, first: int, now: Micros) -> list[Claim]:
    made = []
    for number in range(first, first + count):
        endpoint_id = number % ENDPOINTS
        event = Event(
            id=number,
            account_id=endpoint_id % ACCOUNTS,
            type="invoice.paid",
            payload=PAYLOAD,
            occurred_at=now,
        )
        claim = Claim(
            delivery_id=number,
            endpoint_id=endpoint_id,
            event=event,
            attempt=1,
            token=number,
            due_at=0,
            lease_ends_at=now + HOUR,
        )
        made.append(claim)
    return made


def main() -> None:
    """Measure and print, as one JSON object: by the size of batches, the least of some rounds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--deliveries", type=int, default=20_000)
    given = options.parse_args()
    found = {
        batch: min(uvloop.run(measure(batch, given.deliveries)) for _ in range(given.rounds))
        for batch in (1, 100, 5000)
    }
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
