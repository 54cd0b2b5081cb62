"""Rate limits of accounts: a token bucket per account, in each process.

They apply to accounts' keys and portals, which customers use; requests with a project's or an
operator's key are not limited. The plan sets the rates.
"""

import math
from collections.abc import Callable

from hooktide.domain.errors import BusyError, NotFoundError
from hooktide.domain.model import Micros, Scope
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.project import Plan, plan_of
from hooktide.domain.throttling.token_bucket import TokenBucket
from hooktide.runtime.cache import Cache
from hooktide.store.directory import Directory

MAX_CACHED_BUCKETS = 20_000
"""The least recently used one is dropped first: it is full again, or nearly so."""


class RateLimits:
    """Counts the requests of accounts."""

    def __init__(self, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._directory = directory
        self.clock = clock
        self._buckets: Cache[tuple[str, int], TokenBucket] = Cache(MAX_CACHED_BUCKETS)

    async def change(self, scope: Scope) -> None:
        """Count a change.

        :raises BusyError: the account has used up its plan's rate.
        """
        if scope.account_id is not None:
            rate = (await self._plan(scope.account_id)).changes_per_second
            self._take("change", scope.account_id, rate)

    async def more_changes(self, scope: Scope, count: int) -> None:
        """Count that a change which was let through makes this many more: the next ones wait."""
        if scope.account_id is not None:
            rate = (await self._plan(scope.account_id)).changes_per_second
            self._bucket("change", scope.account_id, rate).owe(count)

    async def test(self, scope: Scope) -> None:
        """Count a test.

        :raises BusyError: the account has used up its plan's rate.
        """
        if scope.account_id is not None:
            rate = (await self._plan(scope.account_id)).tests_per_second
            self._take("test", scope.account_id, rate)

    async def _plan(self, account_id: int) -> Plan:
        try:
            account = await self._directory.account(account_id)
            project = (await self._directory.project(account.project_id)).project
        except NotFoundError:
            return Plan(name="")  # deleted meanwhile: the request itself will report it
        return plan_of(project, account.plan)

    def _take(self, what: str, account_id: int, rate: int) -> None:
        if wait := self._bucket(what, account_id, rate).take(rate, self.clock()):
            raise BusyError(
                f"too_many_{what}s",
                phrase(
                    "this account's plan allows {requests} per second; repeat this request after "
                    "Retry-After seconds",
                    requests=counted(rate, what),
                ),
                retry_after=math.ceil(wait),
            )

    def _bucket(self, what: str, account_id: int, rate: int) -> TokenBucket:
        place = (what, account_id)
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = TokenBucket.full(rate, self.clock())
            self._buckets.keep(place, bucket)
        return bucket
