"""Applies a batch of attempts to their endpoints' rests."""

from collections.abc import Iterable, Mapping

from hooktide.domain.delivery.rest import NO_REST, Rest, asked, succeeded
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import Origin
from hooktide.store.base import AttemptRecord


def concern_rests(records: Iterable[AttemptRecord]) -> set[int]:
    """Return the endpoints (ids) whose rest these attempts may begin, prolong or lift."""
    return {record.claim.endpoint_id for record in records if record.rest or _is_good_test(record)}


def _is_good_test(record: AttemptRecord) -> bool:
    return record.claim.origin is Origin.TEST and isinstance(record.verdict, Delivered)


def rests_after(rests: Mapping[int, Rest], records: Iterable[AttemptRecord]) -> dict[int, Rest]:
    """Return the rests that these attempts change, by endpoint id; ``rests`` are the current
    ones."""
    changed: dict[int, Rest] = {}
    for record in records:
        endpoint_id = record.claim.endpoint_id
        before = changed.get(endpoint_id) or rests.get(endpoint_id, NO_REST)
        after = _after(before, record)
        if after != before:
            changed[endpoint_id] = after
    return changed


def _after(rest: Rest, record: AttemptRecord) -> Rest:
    started_at = record.attempt.started_at
    if record.rest is not None:
        return asked(rest, record.rest, started_at, record.attempt.ended_at)
    if isinstance(record.verdict, Delivered):
        return succeeded(rest, record.claim.origin, started_at, record.attempt.ended_at)
    return rest
