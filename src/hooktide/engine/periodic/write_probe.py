"""Probes whether the database accepts writes, every two seconds and on request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hooktide.domain.errors import UnavailableError
from hooktide.runtime.background import keep, start

log = logging.getLogger("hooktide.engine")

PROBE_INTERVAL = 2.0
PROBE_TIMEOUT = 2.0


class WriteProbe:
    """Probes with ``check``, one probe at a time for all callers."""

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._repeating: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._began = 0.0
        self._trouble = ""

    def start(self) -> None:
        """Start probing; failures and recoveries are logged."""
        self._repeating = keep(self._repeat, "probe whether the database accepts writes")

    def stop(self) -> None:
        """Stop probing."""
        if self._repeating is not None:
            self._repeating.cancel()

    async def _repeat(self) -> None:
        while True:
            await self.trouble()
            await asyncio.sleep(PROBE_INTERVAL)

    async def trouble(self) -> str:
        """Return the current error within two seconds, or ``None`` if writing works.

        A probe that began before this call counts only if it fails.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while True:
            if self._running is None or self._running.done():
                self._began = loop.time()
                self._running = start(self._try(), "probe whether the database accepts writes")
            began, left = self._began, asked + PROBE_TIMEOUT - loop.time()
            done, _ = await asyncio.wait({self._running}, timeout=max(0.0, left))
            if not done:
                return self._trouble or f"it did not answer within {PROBE_TIMEOUT:g} s"
            if self._trouble or began >= asked:
                return self._trouble

    async def _try(self) -> None:
        trouble = ""
        try:
            await self._check()
        except UnavailableError as error:
            trouble = error.reason
        except Exception as error:  # noqa: BLE001 - any error means that writing does not work
            trouble = f"{type(error).__name__}: {error}"
        if trouble and not self._trouble:
            log.warning("the database does not accept writes: %s", trouble)
        elif self._trouble and not trouble:
            log.info("the database accepts writes again")
        self._trouble = trouble
