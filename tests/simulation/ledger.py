"""The complete record of what happened in a simulated world.

The trace has a line for each thing that happened. Its hash shows whether two runs were identical. A
``Failure`` is the first violated invariant, with the trace of the delivery concerned.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.store.base import AttemptRecord

STORY_LINES = 60


class BrokenError(Exception):
    """An invariant was violated. The ledger knows which."""


@dataclass(frozen=True)
class Failure:
    """A violated invariant, by its number in ARCHITECTURE.md, and the history that led to it."""

    invariant: int
    text: str
    story: str


@dataclass
class Flight:
    """An attempt.

    ``began`` is when a process took up the claim, ``left`` when the request was sent.
    """

    claim: Claim
    process: Any
    began: Micros
    claimed: Micros
    left: Micros | None = None
    ended: Micros | None = None
    requests: int = 0
    judged: int = 0
    record: AttemptRecord | None = None
    recorded: bool = False

    @property
    def is_out(self) -> bool:
        """Whether its request was sent, and no response has arrived yet."""
        return self.left is not None and self.ended is None


@dataclass
class Tracked:
    """The committed state of a delivery.

    By token, ``claims`` is when each claim was made, ``holders`` by which process, ``given_back``
    when it was released by others, and ``unheard`` when the response to its commit was lost.
    """

    id: int
    name: str
    event_id: int
    endpoint_id: int
    account_id: int
    origin: str
    state: str
    claim: int
    due_at: Micros | None
    claimed: Micros
    attempts: int = 0
    recorded: int = 0
    good: int = 0
    flights: list[Flight] = field(default_factory=list)
    claims: dict[int, Micros] = field(default_factory=dict)
    holders: dict[int, Any] = field(default_factory=dict)
    given_back: dict[int, Micros] = field(default_factory=dict)
    unheard: dict[int, Micros] = field(default_factory=dict)


@dataclass
class Receiver:
    """The committed state of an endpoint. ``..._since`` is when that value was committed.

    ``rate`` is requests a second and how many at once (None: there is none, or it is not known).
    """

    id: int
    account_id: int
    patterns: tuple[str, ...] = ()
    reason: str = ""
    removed: bool = False
    off_since: Micros = 0
    consecutive_failures: int = 0
    rests_until: Micros = 0
    lifted_at: Micros = 0
    lifted_since: Micros = -1
    secrets: tuple[bytes, ...] = ()
    secrets_since: Micros = 0
    rate: tuple[int, int] | None = None
    rate_since: Micros = 0
    sent: list[Micros] = field(default_factory=list)

    @property
    def on(self) -> bool:
        return not (self.reason or self.removed)

    def takes(self, origin: str) -> bool:
        """Whether a delivery may be made for it and sent: to one that is disabled, a test only."""
        return self.on or (origin == "test" and not self.removed)


class Ledger:
    """Keeps the trace, and the current state of the deliveries and endpoints."""

    def __init__(self, now: Callable[[], Micros]) -> None:
        self._now = now
        self.lines: list[tuple[Micros, str, int | None, str]] = []
        self.deliveries: dict[int, Tracked] = {}
        self.receivers: dict[int, Receiver] = {}
        self.attempts = 0
        self.failure: Failure | None = None

    def note(self, who: str, text: str, delivery_id: int | None = None) -> None:
        """Add a line to the trace. A line without a delivery is part of every history."""
        self.lines.append((self._now(), who, delivery_id, text))

    def broken(self, invariant: int, text: str, delivery_id: int | None = None) -> None:
        """Note that an invariant was violated."""
        if self.failure is None:
            name = "" if delivery_id is None else f"{self.name(delivery_id)}: "
            self.note("", f"INVARIANT {invariant} BROKEN: {text}", delivery_id)
            self.failure = Failure(invariant, name + text, self._story(delivery_id))

    def check(self) -> None:
        """:raises BrokenError: if an invariant was violated."""
        if self.failure is not None:
            raise BrokenError(self.failure.text)

    def name(self, delivery_id: int) -> str:
        """Return a delivery's name in the trace."""
        found = self.deliveries.get(delivery_id)
        return f"delivery {delivery_id:x}" if found is None else found.name

    def digest(self) -> str:
        """Return the hash of the trace."""
        hashed = hashlib.sha256()
        for line in self.lines:
            hashed.update(repr(line).encode())
        return hashed.hexdigest()

    def _story(self, delivery_id: int | None) -> str:
        """Return the history of a delivery and the faults of the processes meanwhile."""
        tracked = self.deliveries.get(delivery_id or 0)
        first = next((at for at, _, of, _ in self.lines if of == delivery_id), 0)
        about = [
            (at, who, text)
            for at, who, of, text in self.lines
            if (delivery_id is not None and of == delivery_id) or (of is None and at >= first)
        ]
        left_out = len(about) - STORY_LINES
        told = [f"{_clock(at)} {who:<5} {text}" for at, who, text in _ends(about, left_out)]
        if left_out > 0:
            told.insert(STORY_LINES // 3, f"... {left_out} lines ...")
        if tracked is not None:
            origin = f"{tracked.name} of event {tracked.event_id:x} ({tracked.origin})"
            told.insert(0, f"{origin}, endpoint {tracked.endpoint_id:x}")
        return "\n".join(told)


def _ends(lines: Sequence[Any], left_out: int) -> Sequence[Any]:
    first = STORY_LINES // 3
    return lines if left_out <= 0 else [*lines[:first], *lines[first + left_out :]]


def _clock(at: Micros) -> str:
    """Format a virtual time: days, then hours to microseconds."""
    seconds, micros = divmod(at, SECOND)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}d {hour:02}:{minute:02}:{second:02}.{micros:06}"
