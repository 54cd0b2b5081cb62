"""Deletes expired data while the clock can be trusted (``domain.time.retention``)."""

import logging
from collections.abc import Callable

from hooktide.domain.model import DAY, HOUR, Micros
from hooktide.domain.time.retention import RetentionGuard
from hooktide.domain.time.times import show_time
from hooktide.runtime.clock import monotonic
from hooktide.store.contract import Store

log = logging.getLogger("hooktide.engine")

WARNING_INTERVAL: Micros = HOUR
PAYLOAD_BATCH = 100
"""How many payloads are erased at once: their attempts are rewritten, too."""


class Retention:
    """The two periodic tasks that delete by time: payloads, events and log, and secrets past their
    overlap."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], Micros],
        monotonic: Callable[[], Micros] = monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._guard = RetentionGuard(monotonic())
        self._warn_at: Micros = 0

    @property
    def paused(self) -> bool:
        """Whether nothing is deleted because the clock is too far ahead."""
        return self._guard.lead > 0

    async def drop_old(self, limit: int) -> int:
        """Delete up to ``limit`` events past their retention, and erase payloads that are kept for
        less time than their events; return how many events, or ``limit`` if more payloads are due.

        Returns 0, and deletes nothing, while the clock is not trusted.
        """
        now, mark = self._clock(), await self._store.clock_mark()
        deletes = self._guard.may_delete(now, self._monotonic(), mark)
        if self.paused:
            self._warn(now)
            return 0
        await self._store.trust_clock(now)
        if not deletes:
            return 0
        due = await self._store.erase_expired_payloads(now, PAYLOAD_BATCH)
        dropped = await self._store.drop_old(now, limit)
        return limit if due == PAYLOAD_BATCH else dropped

    async def retire_secrets(self) -> int:
        """Delete secrets past their overlap; return how many.

        They do not wait for the first hour: a secret must not be used for longer than was
        requested.
        """
        now, mark = self._clock(), await self._store.clock_mark()
        if not self._guard.trusts(now, self._monotonic(), mark):
            return 0
        return await self._store.retire_secrets(now)

    def _warn(self, now: Micros) -> None:
        if self._monotonic() < self._warn_at:
            return
        self._warn_at = self._monotonic() + WARNING_INTERVAL
        log.warning(
            "retention is paused: the clock says %s, %.1f days past the newest instant in the "
            "database, so nothing is deleted for 24 hours. If the clock is wrong, correct it. If "
            "it is right, run: hooktide retention --accept-clock --database ...",
            show_time(now),
            self._guard.lead / DAY,
        )
