"""An event loop on virtual time. When nothing is ready, it jumps to the next timer.

It uses no selector, no thread and no clock. Every callback belongs to a simulated process
(``OWNER`` in its context) or to the world outside of them. The callbacks of a dead process do not
run. Those of a stalled process run later, in the same order.
"""

import asyncio
import contextvars
import heapq
import math
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from hooktide.domain.model import SECOND, Micros

MAX_CALLBACKS_PER_TURN = 200_000
"""So many callbacks at one instant are a loop that waits for nothing."""


class Owner(Protocol):
    """A simulated process that owns callbacks."""

    dead: bool
    stalled_until: Micros

    def step(self) -> None:
        """Called before each of its callbacks. The process may die or stall here."""


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)
WORLD = contextvars.Context()
"""The context of what belongs to no process."""


class StuckError(Exception):
    """Callbacks ran without end at one point in time, or nothing is left that could end a wait."""


class VirtualLoop(asyncio.BaseEventLoop):
    """``now``: microseconds since its creation. ``check`` is called after each callback."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.now: Micros = 0
        self.check = check
        self._soon: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[Micros, int, asyncio.Handle]] = []
        self._sequence = 0
        self._at_once = 0
        self._held: list[asyncio.Task[Any]] = []
        self._hold = 1000
        self._over = False

    def time(self) -> float:
        return self.now / SECOND

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._over:
            self._soon.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        at = math.ceil(when * SECOND)
        self._add(at if at / SECOND >= when else at + 1, handle)  # never before ``when``
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def after(
        self,
        span: Micros,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call a function after a span, exact to the microsecond."""
        handle = asyncio.Handle(callback, args, self, context)
        self._add(self.now + span, handle)
        return handle

    def _add(self, at: Micros, handle: asyncio.Handle) -> None:
        if not self._over:
            self._sequence += 1
            heapq.heappush(self._timers, (max(at, self.now), self._sequence, handle))

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Start a task and keep a reference: garbage collection would run its ``finally``."""
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        if self._over:
            _end(task)
            return task
        self._held.append(task)
        if len(self._held) > self._hold:
            self._held = [task for task in self._held if not task.done()]
            self._hold = 2 * len(self._held) + 1000
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise errors that nothing else handles, but ignore the results of dead processes."""
        if "never retrieved" not in context["message"] and not self._over:
            raise StuckError(str(context))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave the timer in the heap, where it is skipped."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Do not resume a generator of a dead process."""

    def _write_to_self(self) -> None:
        raise RuntimeError("something in the simulation uses a thread")

    def _run_once(self) -> None:
        if not self._soon:
            self._leap()
        while self._timers and self._timers[0][0] <= self.now:
            self._soon.append(heapq.heappop(self._timers)[2])
        for _ in range(len(self._soon)):
            self._run(self._soon.popleft())

    def _leap(self) -> None:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            raise StuckError("nothing is left to happen")
        if self._timers[0][0] > self.now:
            self._at_once = 0
        self.now = max(self.now, self._timers[0][0])

    def _run(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        context: contextvars.Context = handle._context  # type: ignore[attr-defined]
        owner = context.get(OWNER)
        if owner is not None:
            if not owner.dead and owner.stalled_until <= self.now:
                owner.step()
            if owner.dead:
                return
            if owner.stalled_until > self.now:
                self._add(owner.stalled_until, handle)
                return
        self._at_once += 1
        if self._at_once > MAX_CALLBACKS_PER_TURN:
            raise StuckError(f"a loop that waits for nothing, at {self.time():.6f} s: {handle}")
        context.run(handle._callback, *handle._args)  # type: ignore[attr-defined]
        self.check()

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, and discard what is left."""
        try:
            self.run_until_complete(main)
        finally:
            self._over = True
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines never started
                for task in self._held:
                    _end(task)
            self._soon.clear()
            self._timers.clear()
            self.close()


def _end(task: asyncio.Task[Any]) -> None:
    """Close a task's coroutine, so that garbage collection does not resume it."""
    if task.done():
        return
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    for _ in range(10):  # its "finally" may await something else
        try:
            coroutine.close()
        except RuntimeError:
            continue
        except Exception:  # noqa: BLE001 - whatever it says, its process is gone
            pass
        return
