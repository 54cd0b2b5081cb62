"""Watches the key file while a server runs, so that keys are rotated without a restart.

Each process reports which keys it has read; ``hooktide keys use`` waits until every running process
can decrypt with the new key.
"""

import asyncio
import logging
import os
import platform
from collections.abc import Callable
from pathlib import Path

from hooktide.domain.errors import ConfigError
from hooktide.domain.model import SECOND, Micros
from hooktide.runtime.vault import Vault, read_keys
from hooktide.store.contract import Store

REPORT_INTERVAL: Micros = 10 * SECOND

log = logging.getLogger("hooktide.engine")


class KeyFile:
    """Keeps a vault up to date with its file, and reports which keys were read.

    ``changed`` is called after the keys were replaced.
    """

    def __init__(
        self,
        path: Path,
        vault: Vault,
        store: Store,
        clock: Callable[[], Micros],
        changed: Callable[[], None],
    ) -> None:
        self._path = path
        self._vault = vault
        self._store = store
        self._clock = clock
        self._changed = changed
        self._process = f"{platform.node()}:{os.getpid()}"
        self._reported: tuple[str, ...] = ()
        self._report_at: Micros = 0

    async def check(self) -> int:
        """Read the file again; if that fails, log it and keep the current keys."""
        try:
            keys = await asyncio.to_thread(read_keys, self._path)
        except ConfigError as error:
            log.warning("the key file cannot be read; the current keys stay in use: %s", error)
        else:
            before = self._vault.ids
            self._vault.replace(keys)
            if self._vault.ids != before:
                self._changed()
                log.info("keys read: %s; the first one seals", ", ".join(self._vault.ids))
        await self._report()
        return 0

    async def _report(self) -> None:
        now, ids = self._clock(), self._vault.ids
        waits = (
            self._report_at - REPORT_INTERVAL <= now < self._report_at
        )  # unless the clock was set back
        if ids != self._reported or not waits:
            await self._store.report_keys(self._process, ids, now)
            self._reported, self._report_at = ids, now + REPORT_INTERVAL

    async def end(self) -> None:
        """Report that this process has stopped."""
        await self._store.end_key_report(self._process)
