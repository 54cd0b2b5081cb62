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

    record: AttemptRecord
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
        self, records: Iterable[AttemptRecord], disable_after: Callable[[int], int]
    ) -> list[SwitchOff]:
        """Count failures, and return the endpoints to disable.

        ``disable_after`` returns the number of failures that disables, by account id; 0: never.
        """
        found: list[SwitchOff] = []
        for record in records:
            if record.claim.origin is Origin.TEST:
                continue
            verdict = record.verdict
            if isinstance(verdict, Delivered):
                if self._failing.get(record.claim.endpoint_id):
                    self._set(record.claim.endpoint_id, 0)
            elif isinstance(verdict, Failed):
                found += self._count_failure(record, disable_after)
            elif isinstance(verdict, Gone):
                found.append(SwitchOff(record, verdict.reason or GONE))
        return found

    def _count_failure(
        self, record: AttemptRecord, disable_after: Callable[[int], int]
    ) -> list[SwitchOff]:
        endpoint_id = record.claim.endpoint_id
        failing = self._failing.get(endpoint_id, 0) + 1
        self._set(endpoint_id, failing)
        enough = disable_after(record.claim.event.account_id)
        if failing == failing_after(enough):
            self.began.append((record, failing))
        if 0 < enough <= failing:
            failed = count_of(failing, "delivery", "deliveries")
            return [SwitchOff(record, f"{failed} failed in a row")]
        return []

    def _set(self, endpoint_id: int, failing: int) -> None:
        self._failing[endpoint_id] = failing
        self.changed[endpoint_id] = failing


def counted(records: Iterable[AttemptRecord]) -> tuple[list[int], list[int]]:
    """Return the ids of endpoints where a delivery succeeded, and of those where one failed."""
    well, ill = set(), set()
    for record in records:
        if record.claim.origin is Origin.TEST:
            continue
        if isinstance(record.verdict, Delivered):
            well.add(record.claim.endpoint_id)
        elif isinstance(record.verdict, Failed | Gone):
            ill.add(record.claim.endpoint_id)
    return sorted(well), sorted(ill)
