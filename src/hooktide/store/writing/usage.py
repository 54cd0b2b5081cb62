"""How many deliveries an account has had within the hour, for plans that limit it.

Counted by the minute, and the minute that is an hour old counts whole: never more than the limit
leaves in any hour, and room comes back at most a minute late. What was counted by a clock that was
ahead and was set back since counts as of now: an hour later it is over, as if it had left just now.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from hooktide.domain.model import MINUTE, Micros

WINDOW_MINUTES = 60
SLACK_MINUTES = 1
"""A batch's events may be handed in a moment before or after each other."""

Minutes: TypeAlias = dict[int, int]
"""Deliveries by minute since 1970."""


class Usage:
    """The hours of limited accounts: read where they are asked for, kept while they are exact.

    ``read`` returns an account's minutes from one on; ``holding`` are the accounts that have
    something held back. What changed is in ``changed`` until someone writes it down.
    """

    def __init__(self, read: Callable[[int, int], Minutes], holding: Iterable[int]) -> None:
        self._read = read
        self._minutes: dict[int, Minutes] = {}
        self._changed: dict[tuple[int, int], int] = {}
        self.holding = set(holding)

    def take(self, account_id: int, limit: int, now: Micros) -> bool:
        """Count one delivery now, if the hour has room and nothing older is held back."""
        if account_id in self.holding or self.remaining(account_id, limit, now) <= 0:
            return False
        self.count(account_id, 1, now)
        return True

    def remaining(self, account_id: int, limit: int, now: Micros) -> int:
        """Return how many more may leave now."""
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
        """Count deliveries that leave now."""
        self.used(account_id, now)
        minute = now // MINUTE
        minutes = self._minutes[account_id]
        minutes[minute] = minutes.get(minute, 0) + deliveries
        self._changed[account_id, minute] = minutes[minute]

    def changed(self) -> list[tuple[int, int, int]]:
        """Return (account, minute, deliveries) of what changed since the last time."""
        found = [(*key, count) for key, count in self._changed.items()]
        self._changed.clear()
        return found
