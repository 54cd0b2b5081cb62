"""Dropping expired data, and the clock mark that it relies on."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import HOUR, MINUTE, Micros
from hooktide.domain.throttling.login_throttle import FAILURE_RETENTION, SUCCESS_RETENTION
from hooktide.domain.time.retention import ClockMark
from hooktide.store import rows
from hooktide.store.base import AUDIT_LOG_RETENTION, NUMBERS_RETENTION
from hooktide.store.sql.repository import Repository, maintains, surveys
from hooktide.store.sql.transaction import Transaction


class Retention(Repository):
    """The store's methods for retention."""

    parts_of_events: Sequence[str]
    """The statements that drop events, after everything that belongs to them, in order."""

    @surveys
    async def clock_mark(self, tx: Transaction) -> ClockMark:
        """Return what this database knows about the clock; retention reads it before it deletes."""
        return ClockMark(*(await tx.one("clock mark", "clock_mark")))

    @maintains
    async def trust_clock(self, tx: Transaction, now: Micros) -> None:
        """Note that the clock was trusted at ``now``; an earlier instant changes nothing."""
        await tx.run("trust_clock", {"now": now})

    async def drop_old(self, now: Micros, limit: int) -> int:
        """Delete ended events, deliveries and attempts past their project's retention.

        It also deletes expired bins, sessions, login links, stats and audit log entries. Whether
        ``now`` can be trusted is decided by ``engine.periodic.retention``.
        """
        await self._drop_small(now)
        kept = await self._retentions()
        dropped = 0
        if kept:
            dropped += await self.drop_days(now - max(kept.values()), limit)
        for project_id, keep in kept.items():
            if dropped < limit:
                before = (now - keep) << NODE_BITS
                dropped += await self._drop_events(project_id, before, limit - dropped)
        return dropped

    @abstractmethod
    async def drop_days(self, before: Micros, limit: int) -> int:
        """Drop the log's partitions before an instant; return how many events, at least."""

    @surveys
    async def _retentions(self, tx: Transaction) -> Mapping[int, Micros]:
        found = await tx.rows("all_projects")
        return {id_: rows.read_project_json(config).retention for id_, config in found}

    @maintains
    async def _drop_small(self, tx: Transaction, now: Micros) -> None:
        for name, values in _over(now).items():
            await tx.run(name, values)

    @maintains
    async def _drop_events(self, tx: Transaction, project_id: int, before: int, limit: int) -> int:
        values = {"project_id": project_id, "before": before, "limit": limit}
        await tx.run("drop_replays", values)
        found = [id_ for (id_,) in await tx.rows("old_events", values)]
        if found:
            await tx.rows("hold_index", {"project_id": project_id})
            dropped = {"ids": found, "first": found[0], "last": found[-1]}
            for name in self.parts_of_events:
                await tx.run(name, dropped)
        return len(found)


def _over(now: Micros) -> dict[str, dict[str, int]]:
    """Return the statements that drop expired rows, with their values."""
    return {
        "drop_expired_bins": {"now": now},
        "drop_usage": {"before": (now - 2 * HOUR) // MINUTE},
        "drop_login_links": {"now": now},
        "drop_sessions": {"now": now},
        "drop_stashed": {"now": now},
        "drop_login_records": {
            "failed_before": now - FAILURE_RETENTION,
            "succeeded_before": now - SUCCESS_RETENTION,
        },
        "drop_audit_log": {"before": (now - AUDIT_LOG_RETENTION) << NODE_BITS},
        "drop_delivery_jobs": {"before": now - NUMBERS_RETENTION},
        "drop_minutes": {"before": (now - NUMBERS_RETENTION) // MINUTE},
        "drop_hours": {"before": (now - NUMBERS_RETENTION) // HOUR},
        "drop_project_hours": {"before": (now - NUMBERS_RETENTION) // HOUR},
        "drop_account_hours": {"before": (now - NUMBERS_RETENTION) // HOUR},
        "drop_causes": {"before": (now - NUMBERS_RETENTION) // HOUR},
        "drop_histograms": {"before": (now - NUMBERS_RETENTION) // HOUR},
    }
