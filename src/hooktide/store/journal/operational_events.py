"""Operational events, stored until they are published as events of the built-in project."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from hooktide.domain import operational_events as domain_events
from hooktide.domain.delivery.verdict import Failed, Gone
from hooktide.domain.model import Origin
from hooktide.domain.operational_events import OperationalEvent, Type
from hooktide.store.base import AttemptRecord
from hooktide.store.rows import Row, json_text, settle_columns
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.failures import Failures


class OperationalEvents(Repository):
    """The store's methods for operational events."""

    @writes
    async def add_operational_event(self, tx: Transaction, event: OperationalEvent) -> None:
        """Store an operational event to be published, once per key.

        The store itself adds those of its own transactions: endpoints disabled or failing,
        deliveries failed, hourly limits reached, secrets rotated. Without the built-in project
        (``domain_events.PROJECT``) none are stored; those about that project never are.
        """
        await add_operational_events(tx, [event])

    @reads
    async def operational_events(
        self, tx: Transaction, limit: int
    ) -> Sequence[tuple[int, OperationalEvent]]:
        """Return the events to publish, oldest first, each with its project's id."""
        return [_read(row) for row in await tx.rows("operational_events", {"limit": limit})]

    async def delete_operational_events(self, keys: Sequence[str]) -> None:
        """Delete those that were published."""
        if keys:
            await self._delete_operational_events(keys)

    @writes
    async def _delete_operational_events(self, tx: Transaction, keys: Sequence[str]) -> None:
        await tx.run("delete_operational_events", {"keys": list(keys)})


async def add_operational_events(tx: Transaction, events: Iterable[OperationalEvent]) -> None:
    """Store operational events to be published."""
    for event in events:
        await tx.run("add_operational_event", _values(event))


def _values(event: OperationalEvent) -> dict[str, Any]:
    """Return an event's values for ``add_operational_event``."""
    return {
        "key": event.key,
        "type": event.type.value,
        "account_id": event.account_id,
        "endpoint_id": event.endpoint_id,
        "at": event.at,
        "about": json_text(event.about),
    }


def _read(row: Row) -> tuple[int, OperationalEvent]:
    """Read its columns: its project's id, and itself."""
    project_id, key, type_, account_id, endpoint_id, at, about = row
    return project_id, OperationalEvent(
        key=key,
        type=Type(type_),
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about=msgspec.json.decode(about, type=dict[str, Any]),
    )


def events_of_attempts(
    records: Iterable[AttemptRecord], failures: Failures, disable_after: Callable[[int], int]
) -> list[OperationalEvent]:
    """Return the operational events of attempts that ``failures`` has counted."""
    found = []
    for record in records:
        if isinstance(record.verdict, Failed | Gone) and record.claim.origin is not Origin.TEST:
            found.append(_failed(record))
    for record, failed in failures.began:
        claim = record.claim
        account_id, endpoint_id = claim.event.account_id, claim.endpoint_id
        enough, at = disable_after(account_id), record.attempt.ended_at
        found.append(
            domain_events.failing(account_id, endpoint_id, claim.delivery_id, failed, enough, at)
        )
    return found


def _failed(record: AttemptRecord) -> OperationalEvent:
    claim = record.claim
    return domain_events.delivery_failed(
        account_id=claim.event.account_id,
        endpoint_id=claim.endpoint_id,
        delivery_id=claim.delivery_id,
        event_id=claim.event.id,
        event_type=claim.event.type,
        attempts=claim.attempt,
        reason=settle_columns(record, "")[-1],
        at=record.attempt.ended_at,
    )
