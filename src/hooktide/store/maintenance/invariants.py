"""The checks of ``hooktide audit``: the invariants of every database, even while it is in use.

Each check is a statement of the same name in both stores' ``invariants.sql``: it yields what it
looks at as (kind, id, broken). Each runs in its own transaction, on one snapshot: a transaction's
writes are visible entirely or not at all, and no snapshot is held for longer than one check takes.

Where a check compares instants, it looks only at what came after ``:ordered_since``: before that
the clock was set back, and something later may have an earlier instant. Ids keep their order.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from hooktide.domain.delivery.backoff import delays
from hooktide.domain.delivery.verdict import JITTER, RETRY_AFTER_CAP
from hooktide.domain.ids import show
from hooktide.domain.model import DAY, HOUR, MINUTE, Micros
from hooktide.domain.project.project import MAX_RETRIES, Project
from hooktide.domain.project.schedule import longest_delays, shortest_delays
from hooktide.store.base import LEASE

SLACK: Micros = 3 * MINUTE
"""Maximum distance between two recorded instants that belong together: attempts are kept for a
minute when the database is unavailable, a claim lasts for another, and machines' clocks differ."""

MAX_REST: Micros = 9 * DAY
"""The limit on the delay of a retry (``domain.delivery.backoff``)."""

EXAMPLES = 5


class Check(NamedTuple):
    """One check: the statement's name, the number of its invariant (ARCHITECTURE.md), and a
    description."""

    name: str
    invariant: int
    words: str


CHECKS = (
    Check("fan_out", 1, "an event has the deliveries its fan-out made, one an endpoint"),
    Check("missed", 1, "an event has a delivery for each endpoint that wanted it"),
    Check("unwanted", 1, "an event went to no endpoint that did not want its type"),
    Check("states", 1, "a delivery is in one state, and has what belongs to it"),
    Check("orphans", 1, "a delivery has its event, and an attempt its delivery"),
    Check("attempt_numbers", 2, "attempts are numbered from 1 to their delivery's count"),
    Check("retries", 2, "a delivery has one attempt and its retries at most"),
    Check("delivered", 3, "delivered is what got a 2xx, once and last, and nothing else"),
    Check("claims", 4, "nothing is claimed for an endpoint that was off before"),
    Check("leases", 4, "nothing waits beyond its lease, or the longest rest"),
    Check("sent_after", 4, "nothing was made for, or sent to, an endpoint that was off"),
    Check("failing", 5, "an endpoint's count is its run of failed deliveries"),
    Check("auto_disable", 5, "an endpoint whose count reached its project's number is off"),
    Check("enabled", 5, "an endpoint is off since some instant, or on and off since none"),
    Check("gaps", 6, "a retry is no earlier than its schedule less 10 %"),
    Check("rests", 6, "a rest ends within 24 hours, says why, and nothing is sent meanwhile"),
    Check("endpoint_limits", 7, "no endpoint was added over the largest plan's limit"),
    Check("hourly_limits", 7, "no hour was over the largest plan's limit"),
    Check("usage", 7, "an account's hour counts what was sent for it, no more and no less"),
    Check("secrets", 8, "an endpoint has a secret to sign with"),
    Check("idempotency", 9, "an idempotency key has one event, and it is there"),
    Check("ownership", 10, "everything of an account belongs to its own project"),
    Check("indexed_values", 10, "what is indexed is of an event that is kept, and of its account"),
    Check("known_keys", 10, "an API key that the audit log names is there"),
    Check("waiting_counts", 11, "what waits for an endpoint is as many as its count says"),
)

NOT_CHECKED = (
    (6, "no retry was earlier than its Retry-After, where no endpoint rests now"),
    (8, "body and id are the same each time, timestamp and signatures fresh"),
    (9, "an idempotency key that an event came with is kept as long as the event"),
)
"""Invariants that cannot be checked in a database, which does not hold the data for them."""


class Finding(msgspec.Struct, frozen=True):
    """The result of a check: how many rows it looked at, how many violate it, and the first few of
    those.

    If ``looked_at`` is 0, it checked nothing.
    """

    check: Check
    looked_at: int
    broken: int
    examples: tuple[str, ...]


ProjectFacts: TypeAlias = tuple[int, Project, Micros]
"""A project's id, its configuration, and when it was last changed."""


def counting(sql: str) -> str:
    """Return the statement that counts (looked at, broken); unknown counts as broken."""
    return f"SELECT count(*), count(*) FILTER (WHERE broken IS NOT FALSE) FROM (\n{sql}\n) AS found"  # noqa: S608


def naming(sql: str) -> str:
    """Return the statement for the (kind, id) of a few violations."""
    return f"SELECT kind, id FROM (\n{sql}\n) AS found WHERE broken IS NOT FALSE LIMIT {EXAMPLES}"  # noqa: S608


def finding(check: Check, counts: Sequence[int], named: Iterable[Sequence[Any]]) -> Finding:
    """Combine a check's results."""
    looked_at, broken = counts
    return Finding(check, looked_at, broken, tuple(show(kind, id_) for kind, id_ in named))


def parameters(
    projects: Iterable[ProjectFacts], set_back_from: Micros, now: Micros
) -> dict[str, Any]:
    """Return the values that the statements take.

    ``projects`` and ``set_back_from`` (the latest instant that the clock was set back from; 0: it
    never was) are read on the same snapshot.
    """
    ordered_since = set_back_from + SLACK if set_back_from else 0
    rules = [
        _rules(id_, project, max(changed_at, set_back_from), now)
        for id_, project, changed_at in projects
    ]
    return {
        "projects": msgspec.json.encode(rules).decode(),
        "now": now,
        "slack": SLACK,
        "ordered_since": ordered_since,
        "lease": LEASE,
        "max_rest": MAX_REST,
        "max_retries": MAX_RETRIES,
        "rest_cap": RETRY_AFTER_CAP,
    }


def _rules(id_: int, project: Project, changed_at: Micros, now: Micros) -> dict[str, Any]:
    """Return what a project's configuration promises, of which nothing is kept but the newest.

    What happened before its last change is held to no more than every configuration allows, and
    an account's plan may have been any of the project's: it has no instant of its last change.
    ``changed_at`` is when the clock had caught up, if it was set back since the change.
    """
    plans, longest = project.plans, longest_delays(project, MAX_RETRIES + 1)
    # An endpoint's own delay may be as long as all of the project's together.
    longest = (*longest, _span(project))
    return {
        "id": id_,
        "since": changed_at + SLACK,
        "retries": max(plan.retries for plan in plans),
        "furthest": max(RETRY_AFTER_CAP, *(int(delay * (1 + JITTER)) + 1 for delay in longest)),
        "gaps": [
            int(delay * (1 - JITTER)) - 1 for delay in shortest_delays(project, MAX_RETRIES + 1)
        ],
        "endpoints": _largest([plan.endpoints for plan in plans]),
        "per_hour": _largest([plan.deliveries_per_hour for plan in plans]),
        "disable_after": project.disable_after,
        "whole_since": min(now - DAY, max(now - project.retention, changed_at)) + SLACK,
        "run_since": _run_since(project, changed_at, now),
        "hour_since": -(-max(now - HOUR, changed_at + SLACK) // MINUTE) * MINUTE,
    }


def _largest(limits: Sequence[int | None]) -> int | None:
    """Return the largest limit; None when one of the plans has none."""
    known = [limit for limit in limits if limit is not None]
    return max(known) if len(known) == len(limits) else None


def _run_since(project: Project, changed_at: Micros, now: Micros) -> Micros | None:
    """Return since when nothing that ended is gone from the log, however old its event was.

    None: that is unknown, because a plan's hour may hold a delivery back for any time.
    """
    if any(plan.deliveries_per_hour is not None for plan in project.plans):
        return None
    retries = max(plan.retries for plan in project.plans)
    rests = (max(2 * delay, RETRY_AFTER_CAP) for delay in longest_delays(project, retries))
    return max(changed_at, now - project.retention + sum(rests)) + SLACK


def _span(project: Project) -> Micros:
    """Return how long a delivery waits for all of its retries, by the largest plan."""
    return sum(delays(project.retry, max(plan.retries for plan in project.plans)))
