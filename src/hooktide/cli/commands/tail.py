"""``hooktide tail``: deliveries as they are created and change state."""

import fnmatch
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal

from cyclopts import Parameter

from hooktide.cli.commands.log import delivery_row
from hooktide.cli.names import Names
from hooktide.cli.options import DEFAULTS, Options
from hooktide.cli.output import print_json, print_line
from hooktide.client import Client, NotFoundError
from hooktide.wire.events import Delivery

POLL_INTERVAL = 1.0
LATE = timedelta(seconds=10)
MAX_OPEN = 20
MAX_SEEN = 20_000
ENDS = {"delivered", "failed", "discarded"}


def tail(
    *,
    account: str | None = None,
    endpoint: str | None = None,
    type: str | None = None,
    state: Literal["pending", "held", "delivered", "failed", "discarded"] | None = None,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 10,
    follow: bool = True,
    options: Options = DEFAULTS,
) -> None:
    """Follow deliveries: a line for each new delivery, and for each change of its state.

    Ends with Ctrl-C.

    Parameters
    ----------
    account
        Only this account's.
    endpoint
        Only to this endpoint.
    type
        Only of these event types: invoice.paid, or invoice.*
    state
        Only deliveries that are in, or reach, this state.
    lines
        How many of the latest to show first.
    follow
        Keep following; --no-follow shows the latest only.
    """
    with options.client() as client, suppress(KeyboardInterrupt):
        # Its id: another project may get an account with the same reference meanwhile.
        id = None if account is None else client.accounts.get(account).id
        following, names = Following(client, id, endpoint), Names(client)
        news = following.begin(lines)
        while True:
            for each in news:
                if _wanted(each, type, state):
                    print_json(each) if options.json else print_line(*delivery_row(each, names))
            if not follow:
                return
            time.sleep(POLL_INTERVAL)
            news = following.poll()


def _wanted(delivery: Delivery, type: str | None, state: str | None) -> bool:
    fits = type is None or fnmatch.fnmatchcase(delivery.event_type, type)
    return fits and state in (None, delivery.state)


@dataclass
class Following:
    """Tracks the deliveries seen so far, to find new and changed ones.

    Ids sort by creation time, but several servers may commit a moment apart, so each poll reads
    back a little further than the last one. Open deliveries are polled again, a few at a time.
    """

    client: Client
    account: str | None
    endpoint: str | None
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    since: datetime | None = None

    def begin(self, lines: int) -> list[Delivery]:
        """Return the latest deliveries, oldest first; all existing ones count as seen."""
        found = self.client.deliveries.list(
            account=self.account, endpoint=self.endpoint, limit=max(1, lines)
        )
        latest = [each for each in found if self._is_new(each)]
        for each in self._recent() if latest else ():
            self._is_new(each)
        return latest[:lines][::-1]

    def poll(self) -> list[Delivery]:
        """Return what is new or has changed, oldest first."""
        changed = self._changed()  # first: a new delivery is shown before its next change
        looked = [each for each in self._recent() if self._is_new(each)]
        if len(self.seen) > MAX_SEEN:
            kept = sorted(self.seen)[MAX_SEEN // 2 :]
            self.seen = {id: self.seen[id] for id in {*kept, *self.open}}
        return [*changed, *reversed(looked)]

    def _recent(self) -> Iterator[Delivery]:
        horizon = None if self.since is None else self.since - LATE
        for each in self.client.deliveries.list(account=self.account, endpoint=self.endpoint):
            if horizon is not None and each.created_at < horizon:
                return
            yield each

    def _changed(self) -> list[Delivery]:
        changed = []
        for id in list(self.open)[:MAX_OPEN]:
            del self.open[id]  # goes to the end of the queue if it is still open
            try:
                found = self.client.deliveries.get(id)
            except NotFoundError:
                continue
            if self._is_new(found):
                changed.append(found)
        return changed

    def _is_new(self, delivery: Delivery) -> bool:
        now = (delivery.state, delivery.attempts)
        before = self.seen.get(delivery.id)
        self.seen[delivery.id] = now
        if delivery.state not in ENDS:
            self.open.setdefault(delivery.id)
        if self.since is None or delivery.created_at > self.since:
            self.since = delivery.created_at
        return before != now
