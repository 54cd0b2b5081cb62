"""How many deliveries an account has had within the hour, for plans that limit it.

Counted by the minute, and the minute that is an hour old counts whole: never more than the limit
leaves in any hour, and room comes back at most a minute late.
"""

from typing import Protocol

import apsw

from hooktide.domain.model import MINUTE, Micros
from hooktide.store.sqlite.rows import Row

WINDOW_MINUTES = 60


class Rows(Protocol):
    """A statement for many rows (``hot.Multi``)."""

    def run(self, items: list[Row]) -> int:
        """Run it over all rows."""


class Usage:
    """The hours of the limited accounts; ``save`` writes what changed with the transaction."""

    def __init__(self, db: apsw.Connection, queries: dict[str, str], save: Rows) -> None:
        self._db = db
        self._sql = queries
        self._save = save
        self.forget()

    def forget(self) -> None:
        """Read everything from the database again."""
        self._minutes: dict[int, dict[int, int]] = {}
        self._changed: dict[tuple[int, int], int] = {}
        self.holding: set[int] = {
            account_id for [account_id] in self._db.execute(self._sql["held_accounts"])
        }

    def take(self, account_id: int, limit: int, now: Micros) -> bool:
        """Count one delivery now, if the hour has room and nothing older is held back."""
        if account_id in self.holding or self.room(account_id, limit, now) <= 0:
            return False
        self.count(account_id, 1, now)
        return True

    def room(self, account_id: int, limit: int, now: Micros) -> int:
        """Return how many more may leave now."""
        return limit - self.used(account_id, now)

    def used(self, account_id: int, now: Micros) -> int:
        """Return how many deliveries count against the hour that ends now."""
        since = now // MINUTE - WINDOW_MINUTES
        minutes = self._minutes.get(account_id)
        if minutes is None:
            values = {"account_id": account_id, "since": since}
            minutes = dict(self._db.execute(self._sql["usage_window"], values))
            self._minutes[account_id] = minutes
        for minute in [minute for minute in minutes if minute < since]:
            del minutes[minute]
        return sum(minutes.values())

    def count(self, account_id: int, deliveries: int, now: Micros) -> None:
        """Count deliveries that leave now."""
        self.used(account_id, now)
        minute = now // MINUTE
        minutes = self._minutes[account_id]
        minutes[minute] = minutes.get(minute, 0) + deliveries
        self._changed[account_id, minute] = minutes[minute]

    def save(self) -> None:
        """Write what changed."""
        if self._changed:
            self._save.run([(*key, count) for key, count in self._changed.items()])
            self._changed.clear()
