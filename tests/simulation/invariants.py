"""Checks the invariants of ARCHITECTURE.md ("What always holds") during the simulation.

The ``Watch`` sees every commit (``commits``), every outgoing request and every judged response
(``attempts``), and the responses to clients. A check allows exactly the exceptions that its
invariant allows: a lost lease, a lifted rest, a clock that was set. At the end, everything that
``hooktide audit`` checks in a live database is checked too (``life``).
"""

from collections.abc import Sequence
from typing import Any

from simulation.attempts import AttemptChecks
from simulation.commits import CommitChecks
from simulation.ledger import Flight
from simulation.truth import Truth

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import MINUTE, Claim, Micros
from hooktide.store.sqlite.writing.batch import Batch

RECORDED_TIMEOUT: Micros = 2 * MINUTE
"""No database of the simulation refuses a record for so long."""


class Watch:
    """Passes everything that happens to the checks."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._ledger = truth.ledger
        self._keys: dict[str, int] = {}
        self.commits = CommitChecks(truth)
        self.attempts = AttemptChecks(truth)

    def committed(self, process: Any, batches: Sequence[Batch]) -> None:
        """A process has committed batches."""
        self.commits.committed(process, batches)

    def refused(self, process: Any, why: str) -> None:
        """The database refused a process's request."""
        self._ledger.note(str(process), why)

    def unheard(self, claims: Sequence[Claim]) -> None:
        """Claims were committed, but no process received them."""
        for claim in claims:
            tracked = self._ledger.deliveries[claim.delivery_id]
            tracked.unheard[claim.token] = self._truth.now()

    def accepted(self, key: str, event_id: int) -> None:
        """An event was accepted, so it has to be stored."""
        found = list(self._truth.db.execute("SELECT 1 FROM events WHERE id = ?", (event_id,)))
        if not found:
            self._ledger.broken(1, f"event {event_id:x} was accepted and is not there")
        if key and self._keys.setdefault(key, event_id) != event_id:
            words = f"event {event_id:x} and before {self._keys[key]:x}"
            self._ledger.broken(9, f"the idempotency key {key} was answered with {words}")

    def forget_unrecorded(self, process: Any) -> None:
        """A process has died, and its unrecorded attempts are lost."""
        for key, flight in list(self._truth.unrecorded.items()):
            if flight.process is process:
                del self._truth.unrecorded[key]
                self._check_forgotten(flight)

    def _check_forgotten(self, flight: Flight) -> None:
        """An attempt has to be recorded if it still counts and nothing prevented that."""
        ended = flight.ended or 0
        in_time = ended - flight.claimed < MINUTE // 2 and flight.process.woke < ended
        if in_time and self._truth.now() - ended > RECORDED_TIMEOUT:
            self._ledger.broken(2, "an attempt was never recorded", flight.claim.delivery_id)

    def check_end(self) -> None:
        """Check the end state: nothing is pending, and every attempt is recorded."""
        for tracked in self._ledger.deliveries.values():
            if tracked.state in {"pending", "held"}:
                words = f"is still {tracked.state} after everything has had its time"
                self._ledger.broken(1, words, tracked.id)
            if (tracked.state == "delivered") != (tracked.good > 0):
                words = f"is {tracked.state} with {tracked.good} attempts that got a 2xx"
                self._ledger.broken(3, words, tracked.id)
            if tracked.attempts != tracked.recorded:
                words = f"counts {tracked.attempts} attempts of {tracked.recorded}"
                self._ledger.broken(2, words, tracked.id)
        for (delivery_id, _), flight in self._truth.unrecorded.items():
            tracked = self._ledger.deliveries[delivery_id]
            good = flight.record is not None and isinstance(flight.record.verdict, Delivered)
            if good and tracked.state not in {"delivered", "discarded"}:
                self._ledger.broken(3, "a 2xx of it was forgotten", tracked.id)
            self._check_forgotten(flight)
