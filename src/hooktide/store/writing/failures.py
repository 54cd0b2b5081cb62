"""Counts an endpoint's consecutive failed deliveries, and decides when to disable it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hooktide.domain.counting import count_of
from hooktide.domain.delivery.verdict import Delivered, Failed, Gone
from hooktide.domain.model import Origin
from hooktide.domain.operational_events import failing_after
from hooktide.store.base import AttemptRecord

GONE = "the receiver answered 410 Gone"


class SwitchOff(NamedTuple):
    """An endpoint to be disabled because of this attempt."""

    done: AttemptRecord
    reason: str


class Failures:
    """Counts over the attempts of a batch, in their order.

    ``failing`` are the nonzero counts so far, by endpoint; ``changed`` are the new ones. ``began``
    are the attempts that made an endpoint count as failing, with the counts at that time.
    """

    def __init__(self, failing: dict[int, int]) -> None:
        self._failing = failing
        self.changed: dict[int, int] = {}
        self.began: list[tuple[AttemptRecord, int]] = []

    def count(
        self, dones: Iterable[AttemptRecord], disable_after: Callable[[int], int]
    ) -> list[SwitchOff]:
        """Count failures, and return the endpoints to disable.

        ``disable_after`` returns the number of failures that disables, by account id; 0: never.
        """
        found: list[SwitchOff] = []
        for done in dones:
            if done.claim.origin is Origin.TEST:
                continue
            verdict = done.verdict
            if isinstance(verdict, Delivered):
                if self._failing.get(done.claim.endpoint_id):
                    self._set(done.claim.endpoint_id, 0)
            elif isinstance(verdict, Failed):
                found += self._count_failure(done, disable_after)
            elif isinstance(verdict, Gone):
                found.append(SwitchOff(done, verdict.reason or GONE))
        return found

    def _count_failure(
        self, done: AttemptRecord, disable_after: Callable[[int], int]
    ) -> list[SwitchOff]:
        endpoint_id = done.claim.endpoint_id
        failing = self._failing.get(endpoint_id, 0) + 1
        self._set(endpoint_id, failing)
        enough = disable_after(done.claim.event.account_id)
        if failing == failing_after(enough):
            self.began.append((done, failing))
        if 0 < enough <= failing:
            failed = count_of(failing, "delivery", "deliveries")
            return [SwitchOff(done, f"{failed} failed in a row")]
        return []

    def _set(self, endpoint_id: int, failing: int) -> None:
        self._failing[endpoint_id] = failing
        self.changed[endpoint_id] = failing


def counted(dones: Iterable[AttemptRecord]) -> tuple[list[int], list[int]]:
    """Return the ids of endpoints where a delivery succeeded, and of those where one failed."""
    well, ill = set(), set()
    for done in dones:
        if done.claim.origin is Origin.TEST:
            continue
        if isinstance(done.verdict, Delivered):
            well.add(done.claim.endpoint_id)
        elif isinstance(done.verdict, Failed | Gone):
            ill.add(done.claim.endpoint_id)
    return sorted(well), sorted(ill)
