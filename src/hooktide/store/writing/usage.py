"""Counts an account's deliveries within the last hour, for plans that limit them.

They are counted per minute, by the time of their request. Its commit may be a minute later, the
longest that a write waits for the database. So the minutes that are 60 and 61 minutes old count
completely: the limit is never exceeded in any hour, and capacity returns at most two minutes late.
Counts from a clock that was ahead and has been set back count as of now, so they expire an hour
later.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from hooktide.domain.model import MINUTE, Micros

WINDOW_MINUTES = 61
SLACK_MINUTES = 1
"""A batch's events may be handed in a moment before or after each other."""

Minutes: TypeAlias = dict[int, int]
"""Deliveries by minute since 1970."""


class Usage:
    """The hours of limited accounts, read on demand and cached while they are exact.

    ``read`` returns an account's minutes from one on; ``holding`` are the accounts with held
    deliveries. ``changed`` has the changes that are not written yet.
    """

    def __init__(self, read: Callable[[int, int], Minutes], holding: Iterable[int]) -> None:
        self._read = read
        self._minutes: dict[int, Minutes] = {}
        self._changed: dict[tuple[int, int], int] = {}
        self.holding = set(holding)

    def take(self, account_id: int, limit: int, now: Micros) -> bool:
        """Count one delivery now, if the limit allows it and nothing older is held."""
        if account_id in self.holding or self.remaining(account_id, limit, now) <= 0:
            return False
        self.count(account_id, 1, now)
        return True

    def remaining(self, account_id: int, limit: int, now: Micros) -> int:
        """Return how many more deliveries are allowed now."""
        return limit - self.used(account_id, now)

    def used(self, account_id: int, now: Micros) -> int:
        """Return how many deliveries count against the hour that ends now."""
        since = now // MINUTE - WINDOW_MINUTES
        minutes = self._minutes.get(account_id)
        if minutes is None:
            minutes = self._minutes[account_id] = self._read(account_id, since)
        for minute in [minute for minute in minutes if minute < since]:
            del minutes[minute]
        self._bring_back(account_id, minutes, now // MINUTE)
        return sum(minutes.values())

    def _bring_back(self, account_id: int, minutes: Minutes, this: int) -> None:
        ahead = [minute for minute in minutes if minute > this + SLACK_MINUTES]
        if not ahead:
            return
        for minute in ahead:
            minutes[this] = minutes.get(this, 0) + minutes.pop(minute)
            self._changed[account_id, minute] = 0
        self._changed[account_id, this] = minutes[this]

    def count(self, account_id: int, deliveries: int, now: Micros) -> None:
        """Count deliveries as of now."""
        self.used(account_id, now)
        minute = now // MINUTE
        minutes = self._minutes[account_id]
        minutes[minute] = minutes.get(minute, 0) + deliveries
        self._changed[account_id, minute] = minutes[minute]

    def changed(self) -> list[tuple[int, int, int]]:
        """Return the changes since the last call as (account, minute, deliveries)."""
        found = [(*key, count) for key, count in self._changed.items()]
        self._changed.clear()
        return found
