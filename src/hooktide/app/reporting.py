"""Reports what happens in a process to the log, the metrics and the stats."""

import structlog

from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import made_at
from hooktide.domain.model import SECOND
from hooktide.engine.deliver import name_of
from hooktide.engine.destinations import Destination
from hooktide.engine.periodic.stats_buffer import StatsBuffer
from hooktide.runtime.logs import AttemptLog
from hooktide.runtime.metrics import Metrics
from hooktide.store.base import AttemptRecord, Emitted
from hooktide.wire.events import EventIn

log = structlog.get_logger("hooktide")


class Reporting:
    """Reports events. ``attempt_log``: None if attempts are not logged."""

    def __init__(
        self, metrics: Metrics, stats: StatsBuffer, attempt_log: AttemptLog | None
    ) -> None:
        self._metrics = metrics
        self._stats = stats
        self._attempt_log = attempt_log

    def attempt(self, record: AttemptRecord, destination: Destination) -> None:
        """Report an attempt that was made."""
        claim, made, verdict = record.claim, record.attempt, name_of(record.verdict)
        first = claim.attempt == 1
        waited = (made.started_at - made_at(claim.delivery_id)) / SECOND if first else None
        if waited is not None:  # an id may be ahead of a clock that was set back
            waited = max(0.0, waited)
        self._metrics.attempt(verdict, made.error, made.duration / SECOND, waited)
        self._stats.attempt(record, destination.endpoint)
        if self._attempt_log is not None:
            self._attempt_log.write(destination.project_name, claim, made, verdict)

    def schema_warning(self, event_type: str, error: InvalidError) -> None:
        """Report a payload that was accepted although it violates its schema."""
        log.warning("payload violates its schema", type=event_type, detail=error.detail)

    def unknown_account(self, project: str, event: EventIn) -> None:
        """Report an event for an account that does not exist."""
        self._metrics.unknown_account.add(1, project)
        log.info(
            "an event for an unknown account was not stored",
            project=project,
            account=event.account,
            type=event.type,
        )

    def refused_row(self, row: Emitted, why: str) -> None:
        """Report an emitted event that cannot be accepted."""
        log.error(
            "an emitted event was refused", row=row.id, project=row.project, type=row.type, why=why
        )
