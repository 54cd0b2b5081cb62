"""Limits how many events are accepted at a time, so that deliveries get their share of the CPU.

A process that accepts and delivers uses one event loop for both. Without a limit, an iteration of
the loop would grow with the number of publishers, and responses from receivers would wait: slots
would stay taken although the receiver is fast, and deliveries would pile up in memory and then in
the database. So events enter in portions: at most ``window`` deliveries are being written at a
time, and at most ``share`` more enter per iteration of the loop. In between, the loop works on
deliveries. A slow receiver does not slow down publishers: an iteration without anything to deliver
is short.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hooktide.store.base import Accepted

MAX_WAIT = 0.1
"""Seconds after which a waiting request enters regardless of the limits."""
SMOOTHING = 16


class Portions(NamedTuple):
    """``window``: maximum deliveries being written at a time; ``share``: maximum deliveries that
    enter per iteration of the event loop."""

    window: int
    share: int


SMALL = Portions(window=64, share=32)
"""For a database that writes few events as cheaply as many (SQLite): fewer than the slots of one
fast endpoint."""
LARGE = Portions(window=192, share=64)
"""For a database whose transactions cost as much as fifty events, however few they write
(PostgreSQL)."""


class Turns(Protocol):
    """The event loop, as far as intake needs it."""

    def time(self) -> float:
        """Return seconds since some instant."""

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Call back in the next iteration."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> object:
        """Call back at ``when``."""


class Intake:
    """Lets requests enter, the oldest first; ``limited`` is False in a process that only accepts.

    Check ``open``, then call ``enter`` or ``wait``; call ``leave`` once the events are stored or
    refused. The number of deliveries is estimated from recent events.
    """

    def __init__(
        self, turns: Turns | None = None, *, limited: bool = True, portions: Portions = SMALL
    ) -> None:
        self._turns = turns or asyncio.get_running_loop()
        self._limited = limited
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._being_written = 0.0
        self._window, share = portions
        self._share = self._whole_share = float(share)
        self._per_event = 1.0
        self._turn_set = self._timer_set = False

    @property
    def open(self) -> bool:
        """Whether a request may enter now."""
        return not self._waiting and self._has_room()

    def _has_room(self) -> bool:
        return not self._limited or (self._being_written < self._window and self._share > 0)

    def wait(self, go: Callable[[], None]) -> None:
        """Call ``go`` when it is this request's turn; it should call ``enter``."""
        self._waiting.append((self._turns.time() + MAX_WAIT, go))
        self._set_turn()
        self._set_timer()

    async def enter_in_turn(self, events: int) -> float:
        """Enter when it is this request's turn, as ``enter`` does."""
        if self.open:
            return self.enter(events)
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.wait(lambda: None if future.done() else future.set_result(self.enter(events)))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(future.result())
            raise

    def enter(self, events: int) -> float:
        """Let events enter; return their size, to be passed to ``leave``."""
        if not self._limited:
            return 0.0
        size = events * self._per_event
        self._being_written += size
        self._share -= size
        self._set_turn()
        return size

    def leave(self, size: float, results: Sequence[object] = ()) -> None:
        """Note that events of this size were stored, with their ``results``, or were refused."""
        self._being_written -= size
        for result in results:
            if type(result) is Accepted:
                self._per_event += (max(1, result.deliveries) - self._per_event) / SMOOTHING
        if self._waiting:
            self._set_turn()

    def _set_turn(self) -> None:
        if not self._turn_set:
            self._turn_set = True
            self._turns.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        """Let as many requests enter as this iteration has room for."""
        self._turn_set = False
        self._share = min(self._share, 0.0) + self._whole_share
        while self._waiting and self._has_room():
            self._waiting.popleft()[1]()
        # A large batch may have used up this iteration.
        if self._waiting and self._being_written < self._window:
            self._set_turn()

    def _set_timer(self) -> None:
        if self._waiting and not self._timer_set:
            self._timer_set = True
            self._turns.call_at(self._waiting[0][0], self._let_in_late)

    def _let_in_late(self) -> None:
        """Let requests enter that have waited for ``MAX_WAIT``."""
        self._timer_set = False
        now = self._turns.time()
        while self._waiting and self._waiting[0][0] <= now:
            self._waiting.popleft()[1]()
        self._set_timer()
