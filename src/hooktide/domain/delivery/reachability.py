"""Decides whether an unreachable address is a fault of our own network or of the address.

It is ours as long as nothing says otherwise: no other address has answered or failed in another way
for ``EVIDENCE_AGE``. It is the address's after ``MAX_LOCAL_TROUBLE`` in any case, so that an
endpoint that can never be reached fails, is logged, and is disabled.
"""

from hooktide.domain.model import DAY, MINUTE, Micros

EVIDENCE_AGE: Micros = MINUTE
MAX_LOCAL_TROUBLE: Micros = 10 * MINUTE
FORGOTTEN_AFTER: Micros = DAY
"""An address without failures for this long starts over; longer than most retry delays."""
MAX_ADDRESSES = 10_000


class Reachability:
    """Remembers which addresses were reached last, and which had no route since when.

    Instants are of any clock that does not go back.
    """

    def __init__(self) -> None:
        self._newest: tuple[str, Micros] = ("", -EVIDENCE_AGE)
        self._before: tuple[str, Micros] = ("", -EVIDENCE_AGE)
        self._trouble: dict[str, tuple[Micros, Micros]] = {}

    def reached(self, address: str, now: Micros) -> None:
        """Note that the network reached an address, whatever the response was.

        The loopback says nothing of other addresses.
        """
        if self._trouble:
            self._trouble.pop(address, None)
        if address.startswith("127.") or address == "::1":
            return
        if address != self._newest[0]:
            self._before = self._newest
        self._newest = (address, now)

    def is_local(self, address: str, now: Micros) -> bool:
        """Note that an address had no route; return whether that is our own trouble."""
        began_at, last_at = self._trouble.pop(address, (now, now))
        if now - last_at >= FORGOTTEN_AFTER:
            began_at = now
        if len(self._trouble) >= MAX_ADDRESSES:
            del self._trouble[next(iter(self._trouble))]
        self._trouble[address] = (began_at, now)
        other = self._before if self._newest[0] == address else self._newest
        return now - other[1] >= EVIDENCE_AGE and now - began_at < MAX_LOCAL_TROUBLE
