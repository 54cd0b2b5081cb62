"""A delivery that is stopped while it waits in a worker's memory is not sent."""

from enginekit import opened, running
from storekit import Place, until

from hooktide.domain.model import STOPPED_BY_HAND, Scope
from hooktide.engine.scheduling.scheduler import Limits


async def test_what_was_claimed_and_waits_for_a_slot_is_not_sent_once_it_is_stopped(
    place: Place,
) -> None:
    given = await opened(place)
    other = await opened(place, given) if not place.is_file else given
    limits, changes = Limits(per_endpoint=1), list[tuple[str, int]]()
    async with running(given, limits) as engine:
        given.store.watch(lambda kind, number: changes.append((kind, number)))
        engine.receivers.hanging.add(given.endpoint.url)
        await given.publish(*[given.event() for _ in range(4)])
        await engine.receivers.until(1)
        assert engine.worker.waiting == 3
        page = await given.store.list_deliveries(Scope(), None, 10)
        _, here, elsewhere, _ = [delivery.id for delivery in reversed(page.items)]
        for store, id_ in ((given.store, here), (other.store, elsewhere)):
            await store.stop_deliveries(Scope(), [id_], STOPPED_BY_HAND, engine.clock())
        if other is not given:
            await other.store.close()
            await until(lambda: ("stopped", elsewhere) in changes)
        engine.receivers.hold.set()
        await engine.settled()
        assert engine.receivers.count() == 2
        assert await engine.states() == ["delivered", "discarded", "discarded", "delivered"]
        for id_ in (here, elsewhere):
            assert await given.store.list_attempts(Scope(), id_) == []
        capacity = engine.worker.capacity()
        assert capacity.deliveries == limits.waiting
        assert capacity.payload_bytes == limits.waiting_bytes
