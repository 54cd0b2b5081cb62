"""What holds an endpoint's deliveries back, and until when: the first rule that applies."""

from dataclasses import dataclass
from enum import StrEnum

from hooktide.domain.model import SECOND, Account, Endpoint, Micros, Scope
from hooktide.domain.project.project import Plan, plan_of
from hooktide.domain.stats import Backlog
from hooktide.domain.throttling.rate import Backlogged, Rate, effective_rate
from hooktide.store.contract import Store
from hooktide.store.directory import Directory


class HeldBackRule(StrEnum):
    """The rules that hold deliveries back, the first that applies first."""

    DISABLED = "disabled"
    REST = "rest"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A rule that applies. ``until``: when it ends; None: that is not known."""

    rule: HeldBackRule
    reason: str
    until: Micros | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for an endpoint, and what holds it back."""

    waiting: int
    in_flight: int
    held_back: HeldBack | None


class WhatHoldsBack:
    """Looks at endpoints and what waits for them."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    async def waiting(self, scope: Scope, endpoint_id: int, now: Micros) -> Waiting:
        """Return what waits for an endpoint.

        :raises NotFoundError: it is not in the scope.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        backlog = await self._store.backlog(scope, endpoint_id)
        held = await self.of(endpoint, backlog, now)
        return Waiting(backlog.waiting, backlog.in_flight, held)

    async def of(self, endpoint: Endpoint, backlog: Backlog, now: Micros) -> HeldBack | None:
        """Return what holds back an endpoint for which this much waits."""
        if not endpoint.enabled:
            return HeldBack(HeldBackRule.DISABLED, endpoint.disabled_reason, None)
        if (until := endpoint.resting_until(now)) is not None:
            return HeldBack(HeldBackRule.REST, f"resting because {endpoint.rest_reason}", until)
        account = await self._directory.account(endpoint.account_id)
        project = (await self._directory.project(account.project_id)).project
        plan = plan_of(project, account.plan)
        own = effective_rate(endpoint.rate_limit, endpoint.burst, plan.endpoint_rate_limit)
        found = [_backlogged(own, backlog), await self._of_account(account, plan)]
        paced = max((each for each in found if each), key=lambda each: each.seconds, default=None)
        if paced is None or not backlog.pending:
            return None
        return HeldBack(HeldBackRule.RATE, paced.reason, now + paced.seconds * SECOND)

    async def _of_account(self, account: Account, plan: Plan) -> Backlogged | None:
        rate = effective_rate(account.rate_limit, account.burst, plan.rate_limit)
        if rate is None:
            return None
        scope = Scope(project_id=account.project_id, account_id=account.id)
        return _backlogged(rate, await self._store.backlog(scope), of_account=True)


def _backlogged(
    rate: Rate | None, backlog: Backlog, *, of_account: bool = False
) -> Backlogged | None:
    """Return what waits for a rate, if that is more than a second's requests."""
    if rate is None or backlog.pending <= rate.per_second:
        return None
    return Backlogged(rate.per_second, backlog.pending, of_account)
