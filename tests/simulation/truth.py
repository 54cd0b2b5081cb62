"""The actual state of a simulated world, regardless of what its processes believe."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apsw
from simulation.ledger import Flight, Ledger

from hooktide.domain.model import DAY, SECOND, Micros
from hooktide.domain.project.project import Plan
from hooktide.runtime.vault import Vault
from hooktide.store.base import LEASE

LEASE_AT_LEAST = LEASE * 9 // 10
"""A lease is measured by a clock that follows another: it is wrong by a tenth at most."""
SKEW: Micros = SECOND
"""How far processes' ideas of the database's clock lie apart, at most."""
SLOWEST: Micros = 3 * SECOND
"""What a way takes to or from the database while it is slow, at most."""
MARKER = re.compile(rb"Number ([0-9]+|\xe2\x80\x94)")
"""What a message says of an event: its number, or that it has none."""
AFTER_SETTING: Micros = 10 * SECOND
"""For so long after the clock was set, what was asked before may still be answered."""


@dataclass
class Truth:
    """The state that all checks share. ``wall`` is the database's clock, ``now`` is true time.

    ``unrecorded`` holds attempts that were judged but not committed, by delivery and token.
    """

    ledger: Ledger
    db: apsw.Connection
    vault: Vault
    now: Callable[[], Micros]
    wall: Callable[[], Micros]
    plans: dict[str, Plan] = field(default_factory=dict)
    disable_after: int = 0
    clock_set_at: Micros = -DAY
    unrecorded: dict[tuple[int, int], Flight] = field(default_factory=dict)
    markers: dict[int, bytes] = field(default_factory=dict)
    """What a message has to say of an event."""
    presumed_dead: Callable[[Any], bool] = lambda _: False
    """Whether a process has held no session lock for so long that it may be taken for dead."""
    calm_since: Callable[[], Micros] = lambda: 0
    """Since when nothing is wrong with the database, and a process is there and awake."""
    judged_since: Callable[[], Micros] = lambda: 0
    """Since when, besides, one of them holds its session lock, and so looks after the others."""

    def was_set_just_now(self) -> bool:
        """Whether the clock was set so recently that some processes may not have noticed."""
        return self.now() - self.clock_set_at < AFTER_SETTING
