"""What happened in a batch of attempts, and happenings as rows."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from hooktide.domain import operations
from hooktide.domain.model import Origin
from hooktide.domain.operations import Happening, Type
from hooktide.domain.verdict import Failed, Gone
from hooktide.store.base import Done
from hooktide.store.failures import Failures
from hooktide.store.rows import Row, json_text, settle_columns


def values(happening: Happening) -> dict[str, Any]:
    """Return a happening's values for ``add_happening``."""
    return {
        "key": happening.key,
        "type": happening.type.value,
        "account_id": happening.account_id,
        "endpoint_id": happening.endpoint_id,
        "at": happening.at,
        "about": json_text(happening.about),
    }


def read(row: Row) -> tuple[int, Happening]:
    """Read a happening's columns: its project's id, and itself."""
    project_id, key, type_, account_id, endpoint_id, at, about = row
    return project_id, Happening(
        key=key,
        type=Type(type_),
        account_id=account_id,
        endpoint_id=endpoint_id,
        at=at,
        about=msgspec.json.decode(about, type=dict[str, Any]),
    )


def of_attempts(
    dones: Iterable[Done], failures: Failures, disable_after: Callable[[int], int]
) -> list[Happening]:
    """Return what there is to tell of attempts that ``failures`` has counted."""
    found = []
    for done in dones:
        if isinstance(done.verdict, Failed | Gone) and done.claim.origin is not Origin.TEST:
            found.append(_failed(done))
    for done, failed in failures.began:
        claim = done.claim
        account_id, endpoint_id = claim.event.account_id, claim.endpoint_id
        enough, at = disable_after(account_id), ended_at(done)
        found.append(
            operations.failing(account_id, endpoint_id, claim.delivery_id, failed, enough, at)
        )
    return found


def _failed(done: Done) -> Happening:
    claim = done.claim
    return operations.delivery_failed(
        account_id=claim.event.account_id,
        endpoint_id=claim.endpoint_id,
        delivery_id=claim.delivery_id,
        event_id=claim.event.id,
        event_type=claim.event.type,
        attempts=claim.attempt,
        reason=settle_columns(done, "")[-1],
        at=ended_at(done),
    )


def ended_at(done: Done) -> int:
    """Return when an attempt ended."""
    return done.attempt.started_at + done.attempt.duration
