"""A worker that was presumed dead drops the claims it has not started, and loses nothing."""

import pytest
from enginekit import Engine

from hooktide.engine.scheduling.scheduler import Limits


@pytest.fixture
def limits() -> Limits:
    return Limits(per_endpoint=1)


async def test_what_waits_is_dropped_and_what_is_out_goes_on(engine: Engine) -> None:
    url = engine.given.endpoint.url
    engine.receivers.hanging = {url}
    await engine.given.publish(*[engine.given.event() for _ in range(5)])
    await engine.receivers.until(1)
    assert engine.worker.waiting == 4
    engine.worker.changed("claims", 0)
    assert (engine.worker.waiting, engine.worker.in_flight) == (0, 1)
    capacity = engine.worker.capacity()
    assert (capacity.deliveries, capacity.payload_bytes) == (
        Limits().waiting,
        Limits().waiting_bytes,
    )
    engine.receivers.hanging.clear()
    engine.receivers.hold.set()
    await engine.receivers.until(5)
    await engine.settled()
    assert await engine.states() == ["delivered"] * 5
    assert len(engine.receivers.sent) == 5
