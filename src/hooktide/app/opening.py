"""How a process opens its database and starts: now, or as soon as the database is available."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from hooktide.actions.database import open_store
from hooktide.app.first_start import FirstStart
from hooktide.app.lifecycle import Lifecycle
from hooktide.app.metrics_page import AddUp, alone
from hooktide.app.wiring import build
from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import load_vault
from hooktide.store.contract import Store
from hooktide.web.starting import StartingSite

RETRY_DELAY = 1.0
"""Seconds before retrying a database that is unavailable."""
UNFIT_RETRY_DELAY = 10.0
"""Seconds before retrying a database that is unusable: it may have been repaired."""

T = TypeVar("T")
log = logging.getLogger("hooktide")


async def _nothing(_: Store) -> None:
    pass


async def begin_app(
    settings: Settings,
    port: int,
    operator_key: str,
    add_up: AddUp = alone,
    *,
    make_key: bool = True,
    prepare: Callable[[Store], Awaitable[None]] = _nothing,
) -> tuple[Lifecycle, FirstStart]:
    """Open the database, build the app and start delivering.

    ``port``, ``add_up``: as for ``build``. ``prepare`` is called before anything is delivered.

    :raises ConfigError: the database or the key is unusable.
    :raises UnavailableError: the database did not answer; nothing is open then.
    """
    vault = load_vault(settings.key_path)
    store = await open_store(settings, vault)
    try:
        life = Lifecycle(build(settings, store, vault, port, add_up))
        await prepare(store)
        return life, await life.start(operator_key, make_key=make_key)
    except BaseException:
        with suppress(UnavailableError):
            await store.close()
        raise


async def begin_when_possible(
    begin: Callable[[], Awaitable[T]], site: StartingSite, *, keep_trying: bool = False
) -> T:
    """Call ``begin`` until the database is available; meanwhile ``site`` reports what it waits for.

    ``keep_trying``: also retry after other errors, less often, because an application has other
    work to do. Otherwise they are raised.
    """
    log.warning("waiting for the database: %s", site.reason)
    delay = RETRY_DELAY
    while True:
        await asyncio.sleep(delay)
        try:
            return await begin()
        except UnavailableError as error:
            delay, reason = RETRY_DELAY, error.reason
        except Exception as error:
            if not keep_trying:
                raise
            delay, reason = UNFIT_RETRY_DELAY, _reason(error)
        if reason != site.reason:
            log.warning("waiting for the database: %s", reason)
        site.reason = reason


def _reason(error: Exception) -> str:
    if isinstance(error, HooktideError):
        return str(error)
    log.error("a bug stopped the start; trying again in %s s", UNFIT_RETRY_DELAY, exc_info=error)
    return "internal error: see the server's log"
