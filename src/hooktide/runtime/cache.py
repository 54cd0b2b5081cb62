"""The one cache: a bounded LRU whose entries are valid until invalidated.

All cached values are in one of these (or in ``functools.lru_cache``, for pure functions).
"""

from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """At most ``max_size`` values by key; not thread-safe.

    ``group`` names what a value depends on, if that is not its key: ``drop_group`` drops everything
    that depends on it. ``changes`` counts invalidations, so that a value read before a change is
    not stored after it.
    """

    def __init__(self, max_size: int, group: Callable[[V], Hashable] | None = None) -> None:
        self.changes = 0
        self._max_size = max_size
        self._values: OrderedDict[K, V] = OrderedDict()  # the least recently used first
        self._group = group
        self._keys_of: defaultdict[Hashable, set[K]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return a value and mark it as used, or ``None``."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    async def find(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """Return a cached value, or ``read`` and store it."""
        found = self.get(key)
        if found is None:
            seen = self.changes
            found = await read()
            self.keep(key, found, seen)
        return found

    def keep(self, key: K, value: V, seen: int | None = None) -> None:
        """Store a value, unless something was invalidated since ``changes`` was ``seen``."""
        if seen is not None and seen != self.changes:
            return
        self._remove(key)
        if len(self._values) >= self._max_size:
            self._ungroup(*self._values.popitem(last=False))
        self._values[key] = value
        if self._group is not None:
            self._keys_of[self._group(value)].add(key)

    def drop(self, key: K) -> None:
        """Drop a value."""
        self.changes += 1
        self._remove(key)

    def drop_group(self, group: Hashable) -> None:
        """Drop all values of a group."""
        self.changes += 1
        for key in self._keys_of.pop(group, ()):
            del self._values[key]

    def clear(self) -> None:
        """Drop all values."""
        self.changes += 1
        self._values.clear()
        self._keys_of.clear()

    def _remove(self, key: K) -> None:
        if key in self._values:
            self._ungroup(key, self._values.pop(key))

    def _ungroup(self, key: K, value: V) -> None:
        if self._group is None:
            return
        group = self._group(value)
        keys = self._keys_of[group]
        keys.discard(key)
        if not keys:
            del self._keys_of[group]
