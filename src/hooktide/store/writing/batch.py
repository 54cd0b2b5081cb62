"""What a writer collects: incoming events and attempts, and their effects."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from hooktide.domain.errors import HooktideError, UnavailableError, WriteFaultError, is_lasting
from hooktide.domain.model import Claim, Micros
from hooktide.store.base import AddResult, AttemptRecord, Changed, Listener, NewEvent, Waiter

log = logging.getLogger("hooktide.store")
T = TypeVar("T")
R = TypeVar("R")

RECORD_BATCH_SIZE = 256
"""No request waits for an attempt's record, so records are collected for a moment
(``RECORD_DELAY``): they go with the first batch that finds them so old, or that many. A crash
repeats them."""

RECORD_RETRY_DELAY = 0.5
RECORD_RETRY_TIMEOUT = 60.0
"""Seconds that attempts are kept when the database does not take them; then they are redone."""


def once_each(records: list[AttemptRecord]) -> tuple[list[AttemptRecord], list[AttemptRecord]]:
    """Split attempts into a batch that has no delivery twice, and the rest, in their order.

    The attempt of a lost claim may arrive together with that of its replacement.
    """
    if len({record.claim.delivery_id for record in records}) == len(records):
        return records, []
    seen: set[int] = set()
    first: list[AttemptRecord] = []
    rest: list[AttemptRecord] = []
    for record in records:
        (rest if record.claim.delivery_id in seen else first).append(record)
        seen.add(record.claim.delivery_id)
    return first, rest


class Effects:
    """What a transaction changed and handed over, announced once it has committed."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.due: dict[int, Micros] = {}
        self.changed: list[tuple[str, int]] = []

    def due_at(self, endpoint_id: int, at: Micros) -> None:
        """Note that an endpoint has a pending delivery due at ``at``."""
        known = self.due.get(endpoint_id)
        if known is None or at < known:
            self.due[endpoint_id] = at

    def tell(self, listener: Listener | None, watchers: Sequence[Changed]) -> None:
        """Announce what the commit changed, what it handed over, and what is due when.

        A listener that raises does not affect the others.
        """
        for watcher in watchers:
            for kind, number in self.changed:
                tell(watcher, kind, number)
        if listener is not None and self.claims:
            tell(listener.handed_over, self.claims)
        if listener is not None and self.due:
            tell(listener.due, self.due)


def tell(listener: Callable[..., None], *what: Any) -> None:
    """Call a listener; an exception is logged and does not affect the next one."""
    try:
        listener(*what)
    except Exception:
        log.exception("a listener failed to take what a commit did")


@contextmanager
def skipped_on_error(what: str) -> Iterator[None]:
    """Log an error of one client's work, so that the others' work continues.

    :raises UnavailableError: the database is unavailable, for all of them.
    """
    try:
        yield
    except Exception as error:
        if not is_lasting(error):
            raise
        log.exception("could not %s; going on with the others", what)


async def run_apart(items: Iterable[T], run: Callable[[T], Awaitable[R]], what: str) -> list[R]:
    """Run work for each of several clients and return the results; failures are logged and skipped.

    ``what`` names the work in the log, followed by the item.

    :raises UnavailableError: the database is unavailable, for all of them.
    """
    results: list[R] = []
    for item in items:
        with skipped_on_error(f"{what} {item}"):
            results.append(await run(item))
    return results


async def run_batch(
    items: Sequence[T], run: Callable[[Sequence[T]], Awaitable[object]], what: Callable[[T], str]
) -> None:
    """Run work for several clients at once; failures are logged and skipped.

    ``what`` describes an item's work for the log. ``run`` must change nothing when it raises.

    :raises UnavailableError: the database is unavailable, for all of them.
    """
    async for part, result in in_halves(items, run):
        if isinstance(result, Exception):
            log.error("could not %s; going on with the others", what(part[0]), exc_info=result)


async def in_halves(
    items: Sequence[T], run: Callable[[Sequence[T]], Awaitable[R]]
) -> AsyncIterator[tuple[Sequence[T], R | Exception]]:
    """Run work for all items at once; if that fails, for each half, until the failing item is
    isolated.

    Yields in order the parts with their results, or the failing item with its error: one of 1,000
    costs 20 transactions. ``run`` must change nothing when it raises.

    :raises UnavailableError: the database is away, for all of them; no other part was tried.
    """
    parts = [items] if items else []
    while parts:
        part = parts.pop()
        try:
            result = await run(part)
        except Exception as error:
            if not is_lasting(error):
                raise
            if len(part) == 1:
                yield part, error
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        else:
            yield part, result


class Publish:
    """The events of one request, and the waiter for their results.

    ``lease`` is what to add to ``now`` for the end of a lease. Both are read at the same time: the
    clock may be set while the write waits.
    """

    __slots__ = ("events", "lease", "now", "results", "waiter")

    def __init__(
        self,
        events: Sequence[NewEvent],
        now: Micros,
        lease: Micros,
        waiter: Waiter[list[AddResult]],
    ) -> None:
        self.events = events
        self.now = now
        self.lease = lease
        self.waiter = waiter
        self.results: list[AddResult] = []

    def answer(self) -> None:
        """Pass on the results, if they are still waited for."""
        if not self.waiter.done():
            tell(self.waiter.set_result, self.results)


def refuse(waiting: Iterable[Waiter[Any]], error: Exception) -> None:
    """Pass a separate error to each of these waiters.

    One exception raised in many tasks would accumulate the traceback of each, and with it
    everything that the callers reference.
    """
    for waiter in waiting:
        if not waiter.done():
            tell(waiter.set_exception, _own(error))


MAX_TRIED_BYTES = 1024 * 1024


class Refused:
    """How many bytes the database last refused; 0 once it accepts events again.

    A full disk still has room for a little. So the probe for recovery must write as much as was
    refused.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def refuse(self, publishes: Sequence[Publish], error: Exception) -> None:
        """Answer publishes with an error; note the size if the database refused them."""
        if isinstance(_own(error), UnavailableError):
            for publish in publishes:
                size = sum(_ROW_BYTES + len(event.payload) for event in publish.events)
                self.bytes = min(max(size, self.bytes), MAX_TRIED_BYTES)
        refuse([publish.waiter for publish in publishes], error)

    def written(self, size: int) -> None:
        """Note that this much could be written, unless more was refused meanwhile."""
        if self.bytes <= size:
            self.bytes = 0


_ROW_BYTES = 1024
"""What an event and its deliveries take besides the payload, more or less."""


def _own(error: Exception) -> Exception:
    if isinstance(error, UnavailableError):
        return error.again()
    if isinstance(error, HooktideError):
        return error.as_value()  # of one request alone
    return WriteFaultError("the transaction failed; the server's log says why")
