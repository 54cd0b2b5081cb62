"""The lifecycle of a process: the order in which its parts start and stop."""

import asyncio
from contextlib import suppress

import structlog

from hooktide.app.first_start import FirstStart, first_login_link
from hooktide.app.parts import App
from hooktide.domain.errors import UnavailableError
from hooktide.runtime.background import start

CLOSING = 2.0
"""Seconds of ``stop_within`` reserved for closing, after the last attempt has ended."""
LAST_SPANS = 3.0
"""Seconds at most for a collector to take the last spans, where there are so many left."""

log = structlog.get_logger("hooktide")


class Lifecycle:
    """Starts an app, and stops it without losing anything."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._finishing: asyncio.Task[None] | None = None
        self._stop_at = 0.0

    async def start(self, operator_key: str, *, make_key: bool = True) -> FirstStart:
        """Start delivering. Returns what this start created, if it is the database's first.

        ``operator_key`` is the one in the settings, or empty. ``make_key``: create an operator key
        if none exists or is given, and a first owner if there are no users.

        :raises ConfigError: the operator key cannot be used.
        :raises UnavailableError: the database did not answer.
        """
        app = self.app
        await app.own_host.refresh()
        first = await self._first_start(operator_key, make_key and app.settings.role != "worker")
        if app.delivers:
            await app.worker.start()
        app.maintenance.start()
        app.write_probe.start()
        return first

    async def _first_start(self, given: str, make: bool) -> FirstStart:
        app, key, link = self.app, None, None
        if given:
            await app.operator_key.keep(given)
        elif make:
            key = await app.operator_key.make()
        try:
            if make:
                link = await first_login_link(app.store, app.directory, app.clock, app.public_url)
        except UnavailableError as error:
            if key is None:
                raise
            # The key is stored and shown only this once: a retry would not create another.
            log.warning("no login link was made", reason=error.reason)
        return FirstStart(key, link)

    def begin_to_stop(self, *, replaced: bool = False) -> None:
        """Stop claiming deliveries, and report this server as not ready.

        ``replaced``: keep reporting ready, because other processes behind the same address are.
        """
        if self._finishing is None:
            settings = self.app.settings
            self.app.stopping.set()
            self.app.readiness.is_replaced = replaced
            within = max(0.0, settings.stop_within - CLOSING)
            self._stop_at = asyncio.get_running_loop().time() + settings.stop_within
            self._finishing = start(self._finish(within), "finish what is out")

    async def finish(self) -> None:
        """Stop delivering: return when no attempt is in flight."""
        self.begin_to_stop()
        if self._finishing is not None:
            await self._finishing

    async def _finish(self, within: float) -> None:
        try:
            async with asyncio.timeout(within + CLOSING / 2):
                await self.app.worker.stop(within)
        except (UnavailableError, TimeoutError) as error:
            log.warning("the database does not take back what was claimed", detail=str(error))

    async def stop(self) -> None:
        """Finish what is in flight, release the rest, close the connections and the database.

        It always ends, even without the database: attempts that could not be recorded are repeated
        later.
        """
        app = self.app
        await self.finish()
        await app.maintenance.stop()
        app.write_probe.stop()
        app.metrics_page.stop()
        await app.sender.close()
        app.attempt_log.flush()
        if app.tracing is not None:
            left = self._stop_at - asyncio.get_running_loop().time() - CLOSING
            await asyncio.to_thread(app.tracing.close, min(LAST_SPANS, max(CLOSING / 4, left)))
        until = max(self._stop_at, asyncio.get_running_loop().time() + CLOSING / 2)
        try:
            async with asyncio.timeout_at(until):
                await app.worker.stop(0)  # events were accepted until the listeners closed
                await app.auth.flush()
                with suppress(UnavailableError):
                    await app.stats.flush()
                    await app.key_file.end()
                await app.store.close()
        except (UnavailableError, TimeoutError) as error:
            log.warning("the database did not take everything in time", detail=str(error))
