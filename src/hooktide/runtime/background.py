"""Background tasks and threads: the only place that starts them, so that none fails unnoticed.

There are three kinds:

- ``start``, ``start_in``: work that comes to an end. Its error is logged, whether or not it is
  awaited.
- ``keep``: work that lasts as long as the process. An error is logged, and it is run again.
- ``start_vital_thread``: a thread that the process depends on. If it fails, the process ends, so
  that its supervisor starts a new one.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from hooktide.domain.errors import HooktideError

log = logging.getLogger("hooktide")
T = TypeVar("T")

RETRY_DELAY = 1.0
EXIT_THREAD_FAILED = 70


def start(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start work that comes to an end; an error in it is logged, a cancellation is not.

    The caller must keep a reference to the task: the event loop holds only a weak one.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_ended)
    return task


def start_in(held: "set[asyncio.Task[T]]", work: Coroutine[Any, Any, T], name: str) -> None:
    """Do as ``start`` does, and hold the task in ``held`` while it runs."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    held.add(task)
    task.add_done_callback(partial(_ended_in, held))


def _ended_in(held: "set[asyncio.Task[T]]", task: asyncio.Task[T]) -> None:
    held.discard(task)
    _ended(task)


def _ended(task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, HooktideError):
        log.warning("could not %s: %s", task.get_name(), error)
    elif error is not None:
        log.error("a bug stopped the task: %s", task.get_name(), exc_info=error)


def keep(
    run: Callable[[], Awaitable[None]], name: str, *, retry_delay: float = RETRY_DELAY
) -> asyncio.Task[None]:
    """Run something until it returns or its task is cancelled.

    Any error is logged, and it is run again after ``retry_delay`` seconds. The same goes for a
    cancellation that was not meant for this task, like that of a future it awaited.
    """
    return start(_keep(run, name, retry_delay), name)


async def _keep(run: Callable[[], Awaitable[None]], name: str, retry_delay: float) -> None:
    task = asyncio.current_task()
    while True:
        try:
            return await run()
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            log.exception("could not %s; trying again", name)
        except HooktideError as error:
            log.warning("could not %s: %s; trying again", name, error)
        except Exception:
            log.exception("could not %s; trying again", name)
        await asyncio.sleep(retry_delay)


async def cancel(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel tasks, and return once they have ended; those that are None were never started."""
    started = [task for task in tasks if task is not None]
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)


def start_vital_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a critical thread; if it raises, the process ends.

    The exit status is then ``EXIT_THREAD_FAILED``.
    """
    thread = threading.Thread(target=_run_vital, args=(run, name), name=name, daemon=True)
    thread.start()
    return thread


def _run_vital(run: Callable[[], None], name: str) -> None:
    try:
        run()
    except BaseException:
        log.critical("the thread %s failed; ending the process", name, exc_info=True)
        logging.shutdown()
        os._exit(EXIT_THREAD_FAILED)
