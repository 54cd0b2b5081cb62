"""Wrong passwords get slower and slower, for each name and for each address.

Kept in memory, and bounded: who guesses can make it forget others, never themselves soon. Links and
keys cannot be guessed, so nobody waits with one, however many guess.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hooktide.domain.errors import LimitError
from hooktide.domain.model import MINUTE, SECOND, Micros

FREE = 5
"""Failures of a name before it has to wait; an address, where many may sit, has more."""
FREE_OF_ADDRESS = 20
_FREE_OF = {"name": FREE, "address": FREE_OF_ADDRESS}
LONGEST: Micros = MINUTE
FORGOTTEN: Micros = 15 * MINUTE
MOST_KEPT = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: Micros = 0
    last: Micros = 0


class Patience:
    """Counts failures; each after the free ones doubles the wait, from a second to a minute."""

    def __init__(self, clock: Callable[[], Micros]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def begin(self, name: str, address: str) -> None:
        """Count a login as failed until it is known that it did not; many at once count too.

        ``address``: empty where nobody knows.

        :raises LimitError: it is too soon after the last ones (429).
        """
        now = self._clock()
        places = _places(name, address)
        found = [self._of(place, now) for place in places]
        wait = max(each.until for each in found) - now
        if wait > 0:
            seconds = -(-wait // SECOND)
            raise LimitError(
                f"too many logins failed; try again in {seconds} s",
                limit=FREE,
                status=429,
                retry_after=seconds,
            )
        for (kind, _), failures in zip(places, found, strict=True):
            failures.count += 1
            failures.last = now
            failures.until = now + _wait(failures.count - _FREE_OF[kind])

    def succeeded(self, name: str, address: str) -> None:
        """Forget a name's failures, and this one of the address."""
        of_name, *of_address = _places(name, address)
        self._known.pop(of_name, None)
        for place in of_address:
            if (failures := self._known.get(place)) is not None:
                failures.count -= 1
                failures.until = 0

    def _of(self, place: tuple[str, str], now: Micros) -> _Failures:
        found = self._known.pop(place, None)
        if found is None or now - found.last > FORGOTTEN:
            found = _Failures()
        self._known[place] = found
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return found


def _places(name: str, address: str) -> Sequence[tuple[str, str]]:
    of_name = ("name", name.casefold()[:200])
    return (of_name, ("address", address)) if address else (of_name,)


def _wait(over: int) -> Micros:
    return 0 if over <= 0 else min(SECOND << min(over - 1, 10), LONGEST)
