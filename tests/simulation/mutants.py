"""Faulty replacements of production code, each of which violates an invariant.

The simulation has to find each of them. This shows that the invariant is checked, and that the
simulated faults are varied enough to violate it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulation import database

from hooktide.actions.publishing import publish
from hooktide.domain.delivery import verdict
from hooktide.domain.model import MINUTE, SECOND, Scope
from hooktide.domain.throttling import timeline
from hooktide.engine.deliver import Deliverer
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.scheduling import scheduler
from hooktide.store.postgres.connection.notifier import Notifier
from hooktide.store.postgres.processes.dead_processes import DeadProcesses, Looks
from hooktide.store.postgres.writing.uncertain_claims import UncertainClaims
from hooktide.store.sqlite.writing.batch_writer import SqliteBatchWriter
from hooktide.store.sqlite.writing.queue import Queue
from hooktide.store.writing.attempt_buffer import AttemptBuffer
from hooktide.store.writing.failures import Failures
from hooktide.store.writing.usage import Usage


@dataclass(frozen=True)
class Mutant:
    """A fault: ``piece`` of ``owner`` is replaced by what ``make`` makes of it.

    ``invariants`` are those that may detect it, ``seed`` is a world in which it is detected.
    """

    name: str
    invariants: tuple[int, ...]
    seed: int
    owner: Any
    piece: str
    make: Callable[[Any], Any]

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Replace the production code with the fault."""
        right = getattr(self.owner, self.piece)
        setattr(self.owner, self.piece, self.make(right))
        try:
            yield
        finally:
            setattr(self.owner, self.piece, right)


def _constant(value: object) -> Callable[[Any], Any]:
    return lambda _: value


def _returns(value: object) -> Callable[[Any], Any]:
    return lambda _: lambda *_given, **_named: value


def _does_nothing(_right: Any) -> Any:
    async def nothing(*_given: Any) -> None:
        """Do nothing."""

    return nothing


def _is_always(value: object) -> Callable[[Any], Any]:
    async def answer(*_given: Any) -> Any:
        return value

    return lambda _: answer


def _sql(name: str, *changes: tuple[str, str]) -> Callable[[Any], Any]:
    """Change the text of one SQL statement."""

    def make(right: Callable[[], Mapping[str, str]]) -> Callable[[], Mapping[str, str]]:
        found = dict(right())
        for old, new in changes:
            if old not in found[name]:
                raise ValueError(f"{name} does not say {old!r} any more: change the mutant")
            found[name] = found[name].replace(old, new)
        return lambda: found

    return make


def _gives_back_too_soon(right: Any) -> Any:
    def release(self: Any, db: Any, effects: Any, now: int, ended: int, limit: int) -> int:
        found: int = right(self, db, effects, now, ended + 50 * SECOND, limit)
        return found

    return release


def _at_first_sight(_right: Any) -> Any:
    return lambda _self, absent, *_clocks: list(absent)


def _never_zero(right: Any) -> Any:
    def set_(self: Failures, endpoint_id: int, failing: int) -> None:
        right(self, endpoint_id, max(failing, 1))

    return set_


def _tells_one_less(right: Any) -> Any:
    def summed_up(self: Any, chat: Any, claims: Any) -> Any:
        told, messages = right(self, chat, claims)
        return told, messages[:-1] or messages

    return summed_up


def _signs_with_one_secret(right: Any) -> Any:
    def make(self: Destinations, *given: Any) -> Destination:
        made: Destination = right(self, *given)
        return dataclasses.replace(made, secrets=made.secrets[:1])

    return make


def _lists_all(right: Any) -> Any:
    async def list_deliveries(self: Any, scope: Scope, *given: Any, **named: Any) -> Any:
        return await right(self, Scope(), *given, **named)

    return list_deliveries


def _reserves_from_now(right: Any) -> Any:
    return lambda _reserved_to, ask, now: right(None, ask, now)


ON_ALONE = "AND ep.disabled_reason = '' AND ep.removed_at IS NULL"

MUTANTS = (
    Mutant(
        "routes are never read again", (1,), 3, SqliteBatchWriter, "lock_account", _does_nothing
    ),
    Mutant(
        "a lost claim is never released", (1,), 21, Queue, "_release_expired_claims", _returns(0)
    ),
    Mutant(
        "a claim is released before its lease ends",
        (2, 3, 4),
        6,
        Queue,
        "_release_expired_claims",
        _gives_back_too_soon,
    ),
    Mutant("a dead process is left to its leases", (1,), 1, DeadProcesses, "look", _is_always(0)),
    Mutant(
        "claims of a commit whose answer was lost are left to their leases",
        (1,),
        11,
        UncertainClaims,
        "take",
        _returns(None),
    ),
    Mutant("who lost its session is taken for dead", (4,), 11, Looks, "dead", _at_first_sight),
    Mutant("who hears nothing does not notice", (8,), 9, Notifier, "_hears", _is_always(True)),
    Mutant("a failed record is forgotten", (2, 3), 3, AttemptBuffer, "put_back", _returns(None)),
    Mutant(
        "a delivery that failed is stored as delivered",
        (3,),
        2,
        database,
        "statements",
        _sql("settle", ("v.column3", "replace(v.column3, 'failed', 'delivered')")),
    ),
    Mutant(
        "claims do not ask whether the endpoint is on",
        (4,),
        4,
        database,
        "statements",
        _sql("claimable", (ON_ALONE, ""), ("AND id >= ep.stale_before", "")),
    ),
    Mutant(
        "a claim costs an attempt",
        (2,),
        6,
        database,
        "statements",
        _sql("claim", ("SET claim = :token", "SET claim = :token, attempts = attempts + 1")),
    ),
    Mutant(
        "a destination is never looked up again", (4, 8), 8, Destinations, "changed", _returns(None)
    ),
    Mutant(
        "a claim is started however little is left of its lease",
        (4,),
        7,
        scheduler,
        "LEASE_MARGIN",
        _constant(-MINUTE),
    ),
    Mutant("a success does not end a run of failures", (5,), 2, Failures, "_set", _never_zero),
    Mutant("a retry may come at half its time", (6,), 6, verdict, "JITTER", _constant(0.5)),
    Mutant(
        "claims do not ask whether the endpoint rests",
        (6,),
        14,
        database,
        "statements",
        _sql("claimable", ("ep.rests_until <= :now", "1")),
    ),
    Mutant("a plan's hour has always room", (7,), 2, Usage, "remaining", _returns(1000)),
    Mutant("a message leaves the last one out", (8,), 13, Deliverer, "_summed_up", _tells_one_less),
    Mutant("one secret signs", (8,), 3, Destinations, "_make", _signs_with_one_secret),
    Mutant("an idempotency key stands for any event", (9,), 6, publish, "_digest", _returns(b"=")),
    Mutant(
        "an account is listed everybody's deliveries",
        (10,),
        20,
        database.SimulatedStore,
        "list_deliveries",
        _lists_all,
    ),
    Mutant(
        "slots of a rate are handed out more than once",
        (12,),
        10,
        timeline,
        "reserve",
        _reserves_from_now,
    ),
)
