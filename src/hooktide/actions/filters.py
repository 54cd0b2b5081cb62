"""Filters and channels, tried before they are saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.actions.accounts import Accounts
from hooktide.actions.endpoint_fields import check_filter, check_plan_channels
from hooktide.actions.rate_limits import RateLimits
from hooktide.domain.errors import InvalidError
from hooktide.domain.filtering.filter import Mismatch, read_exactly, read_filter
from hooktide.domain.ids import made_at
from hooktide.domain.labels import is_addressed
from hooktide.domain.model import Micros, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import check_patterns, plan_of, wants
from hooktide.runtime.yielding import Yielding
from hooktide.store.base import EventRow
from hooktide.store.contract import Store
from hooktide.store.directory import Directory

TRIED = 100
"""How many of an account's newest events a filter is tried with."""
MAX_LISTED = 1000
"""How many of its newest events are looked through to find those of the event types."""
PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Tried:
    """An event that channels and a filter were tried with.

    ``mismatch``: what it did not meet (None: it meets the filter). ``apart``: it shares no channel.
    """

    event_id: int
    type: str
    accepted_at: Micros
    mismatch: Mismatch | None
    channels: tuple[str, ...]
    apart: bool

    @property
    def matches(self) -> bool:
        """Whether an endpoint with these channels and this filter would get it."""
        return self.mismatch is None and not self.apart


@dataclass(frozen=True, slots=True)
class Preview:
    """What channels and a filter would have done with the newest events, newest first."""

    filter: str
    tried: Sequence[Tried]

    @property
    def matched(self) -> int:
        """Return how many of them they let through."""
        return sum(each.matches for each in self.tried)


class Filters:
    """Runs channels and filters over events that were accepted."""

    def __init__(
        self, store: Store, directory: Directory, accounts: Accounts, limits: RateLimits
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._limits = limits

    async def preview(
        self,
        scope: Scope,
        account_text: str | None,
        text: str,
        types: tuple[str, ...] = ("*",),
        channels: Sequence[str] = (),
    ) -> Preview:
        """Run channels, a filter or both over an account's newest events of these types.

        ``TRIED`` events at most.

        :raises InvalidError: the channels or the filter cannot be used, or a type is unknown.
        :raises BusyError: the account asks for too many tests.
        """
        await self._limits.test(scope)
        account = await self._accounts.named(scope, account_text)
        project = (await self._directory.project(account.project_id)).project
        plan = plan_of(project, account.plan)
        checked, own = check_filter(text, plan), check_plan_channels(channels, plan)
        if not checked and not own:
            raise InvalidError(
                "invalid_filter",
                phrase("write the filter or the channels to try"),
                pointer="/filter",
            )
        check_patterns(project, types, account.reference)
        filter_ = read_filter(checked) if checked else None
        tried: list[Tried] = []
        yielding = Yielding()
        for row in await self._newest(account.project_id, account.id, types):
            await yielding.turn()
            event = row.event
            apart = not is_addressed(own, event.channels)
            mismatch = None
            if filter_ is not None and not apart:
                mismatch = filter_.mismatch(read_exactly(event.payload))
            accepted_at = made_at(event.id)
            tried.append(Tried(event.id, event.type, accepted_at, mismatch, event.channels, apart))
        return Preview(checked, tried)

    async def _newest(
        self, project_id: int, account_id: int, types: tuple[str, ...]
    ) -> Sequence[EventRow]:
        scope = Scope(project_id=project_id, account_id=account_id)
        found: list[EventRow] = []
        listed, before = 0, None
        while len(found) < TRIED and listed < MAX_LISTED:
            page = await self._store.list_events(scope, before, PAGE_SIZE)
            found += [row for row in page.items if wants(types, row.event.type)]
            listed, before = listed + len(page.items), page.next_before
            if before is None:
                break
        return found[:TRIED]
