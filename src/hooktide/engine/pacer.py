"""Reserves the slots of rates that the scheduler asks for (``engine.scheduling.pacing``)."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from hooktide.domain.errors import UnavailableError
from hooktide.domain.throttling.timeline import SlotAsk, Slots
from hooktide.engine.scheduling.polling import Now
from hooktide.engine.scheduling.scheduler import Scheduler
from hooktide.runtime.background import cancel, keep
from hooktide.store.contract import Store

log = logging.getLogger("hooktide.engine")


class Pacer:
    """Asks for all slots that are wanted together, one call after the other.

    ``now`` reads the clocks. ``answered`` is called after each result, when the scheduler may have
    something to start.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        now: Callable[[], Now],
        answered: Callable[[], None],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._now = now
        self._answered = answered
        self._running: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        """Set when slots are wanted."""

    def start(self) -> None:
        """Start asking."""
        self._running = keep(self._run, "reserve slots of rates")

    async def stop(self) -> None:
        """Stop asking."""
        await cancel(self._running)

    async def _run(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            await self._ask()

    async def _ask(self) -> None:
        asked = self._now()
        asks = self._scheduler.pacing.asks(asked.monotonic)
        if not asks:
            return
        slots: Sequence[Slots] = ()
        try:
            slots = await self._reserve(asks, asked)
        finally:
            self._scheduler.reserved(asks, slots, asked, self._now().monotonic)
        self._answered()

    async def _reserve(self, asks: Sequence[SlotAsk], asked: Now) -> Sequence[Slots]:
        try:
            return await self._store.reserve_slots(asks, asked.lease)
        except UnavailableError as error:
            log.info("could not reserve slots; going on with the last share: %s", error)
            return ()
