"""Applies a batch of attempts to their endpoints' rests."""

from collections.abc import Iterable, Mapping

from hooktide.domain.delivery.rest import NO_REST, Rest, asked, succeeded
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import Origin
from hooktide.store.base import AttemptRecord


def concern_rests(dones: Iterable[AttemptRecord]) -> set[int]:
    """Return the endpoints (ids) whose rest these attempts may begin, prolong or lift."""
    return {done.claim.endpoint_id for done in dones if done.rest or _is_good_test(done)}


def _is_good_test(done: AttemptRecord) -> bool:
    return done.claim.origin is Origin.TEST and isinstance(done.verdict, Delivered)


def rests_after(rests: Mapping[int, Rest], dones: Iterable[AttemptRecord]) -> dict[int, Rest]:
    """Return the rests that these attempts change, by endpoint id; ``rests`` are the current
    ones."""
    changed: dict[int, Rest] = {}
    for done in dones:
        endpoint_id = done.claim.endpoint_id
        before = changed.get(endpoint_id) or rests.get(endpoint_id, NO_REST)
        after = _after(before, done)
        if after != before:
            changed[endpoint_id] = after
    return changed


def _after(rest: Rest, done: AttemptRecord) -> Rest:
    started_at = done.attempt.started_at
    if done.rest is not None:
        return asked(rest, done.rest, started_at, done.attempt.ended_at)
    if isinstance(done.verdict, Delivered):
        return succeeded(rest, done.claim.origin, started_at, done.attempt.ended_at)
    return rest
