"""Filters, tried before they are saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.actions.accounts import Accounts
from hooktide.actions.endpoints import check_filter
from hooktide.actions.rate_limits import RateLimits
from hooktide.domain.errors import InvalidError
from hooktide.domain.filtering.filter import Mismatch, read_exactly, read_filter
from hooktide.domain.ids import made_at
from hooktide.domain.model import Micros, Scope
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
    """An event that a filter was tried with, and what it did not meet (None: it matches)."""

    event_id: int
    type: str
    accepted_at: Micros
    mismatch: Mismatch | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a filter would have done with the newest events, newest first."""

    filter: str
    tried: Sequence[Tried]

    @property
    def matched(self) -> int:
        """Return how many of them it lets through."""
        return sum(each.mismatch is None for each in self.tried)


class Filters:
    """Runs filters over events that were accepted."""

    def __init__(
        self, store: Store, directory: Directory, accounts: Accounts, limits: RateLimits
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._limits = limits

    async def preview(
        self, scope: Scope, account_text: str | None, text: str, types: tuple[str, ...] = ("*",)
    ) -> Preview:
        """Run a filter over an account's newest events of these types, ``TRIED`` at most.

        :raises InvalidError: the filter cannot be used, or a type is unknown.
        :raises BusyError: the account asks for too many tests.
        """
        await self._limits.test(scope)
        account = await self._accounts.named(scope, account_text)
        project = (await self._directory.project(account.project_id)).project
        checked = check_filter(text, plan_of(project, account.plan))
        if not checked:
            raise InvalidError("invalid_filter", "write the filter to try", pointer="/filter")
        check_patterns(project, types, account.reference)
        filter_ = read_filter(checked)
        tried: list[Tried] = []
        yielding = Yielding()
        for row in await self._newest(account.project_id, account.id, types):
            await yielding.turn()
            event = row.event
            mismatch = filter_.mismatch(read_exactly(event.payload))
            tried.append(Tried(event.id, event.type, made_at(event.id), mismatch))
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
