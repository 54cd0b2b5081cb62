"""What a writer collects: events and attempts on their way in, and what follows from them."""

import asyncio
from collections.abc import Sequence

from hooktide.domain.model import Claim, Micros
from hooktide.store.base import AddResult, Changed, Done, Listener, NewEvent

RECORD_WITHIN = 0.01
RECORDS_AT_ONCE = 256
"""Nobody waits for an attempt's record, so records wait a moment for company: they go with the
first batch that finds them ten milliseconds old, or many. A crash costs at most that many more
attempts."""

RETRY_RECORDS_AFTER = 0.5
RECORDS_KEPT = 60.0
"""Seconds that attempts are kept when the database does not take them; then they are redone."""


def once_each(dones: list[Done]) -> tuple[list[Done], list[Done]]:
    """Split attempts into a batch that has no delivery twice, and the rest, in their order.

    The attempt of a lost claim may be handed in together with that of the claim made instead.
    """
    if len({done.claim.delivery_id for done in dones}) == len(dones):
        return dones, []
    seen: set[int] = set()
    first: list[Done] = []
    rest: list[Done] = []
    for done in dones:
        (rest if done.claim.delivery_id in seen else first).append(done)
        seen.add(done.claim.delivery_id)
    return first, rest


class Effects:
    """What a transaction means for others, told to the listener once it has committed."""

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
        """Tell what the commit changed, what it handed over, and what is due when."""
        for watcher in watchers:
            for kind, number in self.changed:
                watcher(kind, number)
        if listener is not None and self.claims:
            listener.handed_over(self.claims)
        if listener is not None and self.due:
            listener.due(self.due)


class Publish:
    """Events of one request, and who waits for them."""

    __slots__ = ("events", "future", "now", "results")

    def __init__(
        self, events: Sequence[NewEvent], now: Micros, future: "asyncio.Future[list[AddResult]]"
    ) -> None:
        self.events = events
        self.now = now
        self.future = future
        self.results: list[AddResult] = []

    def answer(self) -> None:
        """Give the results to who waits, if anybody still does."""
        if not self.future.done():
            self.future.set_result(self.results)
