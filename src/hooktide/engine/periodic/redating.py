"""Corrects due times after the clock was set back, so that no retry waits too long.

A retry's due time comes from the clock at that time. If that clock was ahead, the retry would wait
until real time has caught up. So all waiting deliveries are checked at startup, and whenever the
clock was set back. A due time from before the step may be stored after that check: an outcome that
was on its way to the database, or an event that another process accepted. So the check is repeated
at growing intervals.
"""

import logging
from collections.abc import Callable

from hooktide.domain.counting import count_of
from hooktide.domain.delivery.verdict import MAX_LOCAL_REST, corrected_due
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import SECOND, Micros
from hooktide.domain.project.project import Project
from hooktide.domain.project.schedule import longest_delays
from hooktide.outbound.answer import retry_after
from hooktide.runtime.clock import StepDetector, monotonic
from hooktide.store.base import LEASE, Waiting
from hooktide.store.contract import Store
from hooktide.store.directory import Directory

log = logging.getLogger("hooktide.engine")

PAGE = 500
START = (0, 0, 0)
RECHECK_DELAYS = tuple(seconds * SECOND for seconds in (1, 2, 4, 8, 16, 32, 64))
"""Delays of the repeated checks after the clock was set back, which cover only deliveries dated
before the step. Two leases after it, when all claims of that time have ended, everything is checked
again.
"""


class Redating:
    """Looks for due times too far ahead; ``on_redated`` is called with how many there were.

    ``steps`` detects that ``clock`` was set.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Callable[[], Micros],
        monotonic: Callable[[], Micros] = monotonic,
        on_redated: Callable[[int], None] = lambda _: None,
        steps: StepDetector | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._monotonic = monotonic
        self._steps = steps or StepDetector(clock, monotonic)
        self._after: tuple[int, Micros, int] | None = START
        self._recheck_times: tuple[Micros, ...] = ()
        self._earliest: Micros = 0
        self._set_back_from: Micros = 0
        self._on_redated = on_redated

    async def run(self) -> int:
        """Check the next page of waiting deliveries if needed; return how many."""
        self._notice_step()
        if self._after is None:
            return 0
        now = self._clock()
        if self._after == START:
            await self._store.redate_rests(now, MAX_LOCAL_REST, self._set_back_from)
        earliest = max(now + MAX_LOCAL_REST, self._earliest)
        page = await self._store.waiting_after(earliest, self._after, PAGE)
        due: dict[tuple[int, Micros], Micros] = {}
        for each in page:
            corrected = await self._corrected(each, now)
            if corrected is not None:
                due[each.delivery_id, each.due_at] = corrected
        if due:
            redated = await self._store.redate(due)
            self._on_redated(redated)
            log.warning(
                "moved %s to an earlier time: the clock was set back, or the project's retry "
                "delays were shortened",
                count_of(redated, "waiting delivery"),
            )
        self._after = page[-1].place if len(page) == PAGE else None
        return len(page)

    def _notice_step(self) -> None:
        step = self._steps.step()
        if step:
            log.warning(
                "the clock was set %s by %.1f s",
                "forward" if step > 0 else "back",
                abs(step) / SECOND,
            )
        now = self._monotonic()
        if step < 0:
            self._after, self._earliest = START, 0
            self._set_back_from = self._clock() - step
            again = RECHECK_DELAYS if -step >= MAX_LOCAL_REST else ()  # a small step delays little
            self._recheck_times = (*(now + each for each in again), now + 2 * LEASE)
        elif self._after is None and self._recheck_times and now >= self._recheck_times[0]:
            self._recheck_times = tuple(each for each in self._recheck_times if each > now)
            self._after = START
            self._earliest = self._set_back_from - LEASE if self._recheck_times else 0

    async def _corrected(self, waiting: Waiting, now: Micros) -> Micros | None:
        try:
            account = await self._directory.account(waiting.account_id)
            project = (await self._directory.project(account.project_id)).project
            delays = await self._delays(project, waiting)
        except NotFoundError:  # deleted: the delivery is about to be discarded
            return None
        ended_at = waiting.attempted_at / SECOND
        return corrected_due(
            waiting.due_at,
            attempts=waiting.attempts,
            delays=delays,
            retry_after=retry_after(waiting.response_head, ended_at),
            now=now,
        )

    async def _delays(self, project: Project, waiting: Waiting) -> tuple[Micros, ...]:
        """Return the longest delays that there can be, as the type of its event is not known.

        They are those of the attempts already made: its account's plan may allow fewer by now.
        """
        longest = longest_delays(project, waiting.attempts)
        endpoint = await self._directory.endpoint(waiting.endpoint_id)
        own = endpoint.retry_delays
        return longest if own is None else (*own, *longest[len(own) :])[: waiting.attempts]
