"""Decides whether an unreachable address is a fault of our own network or of the address.

We assume our network as long as there is no evidence against it: no other address has answered or
failed in another way for ``EVIDENCE_AGE``. After ``MAX_LOCAL_TROUBLE`` we blame the address in any
case, so that an endpoint that can never be reached fails, is logged, and is disabled.
"""

from hooktide.domain.model import DAY, MINUTE, Micros

EVIDENCE_AGE: Micros = MINUTE
MAX_LOCAL_TROUBLE: Micros = 10 * MINUTE
FORGOTTEN_AFTER: Micros = DAY
"""An address without failures for this long starts over; longer than most retry delays."""
MAX_ADDRESSES = 10_000


class Reachability:
    """Remembers which addresses were reached last, and which had no route since when.

    Instants are from any monotonic clock.
    """

    def __init__(self) -> None:
        self._newest: tuple[str, Micros] = ("", -EVIDENCE_AGE)
        self._before: tuple[str, Micros] = ("", -EVIDENCE_AGE)
        self._trouble: dict[str, tuple[Micros, Micros]] = {}

    def reached(self, address: str, now: Micros) -> None:
        """Note that the network reached an address, whatever the response was.

        Loopback proves nothing about other addresses.
        """
        if self._trouble:
            self._trouble.pop(address, None)
        if address.startswith("127.") or address == "::1":
            return
        if address != self._newest[0]:
            self._before = self._newest
        self._newest = (address, now)

    def is_local(self, address: str, now: Micros) -> bool:
        """Note that an address had no route; return whether our own network is at fault."""
        began_at, last_at = self._trouble.pop(address, (now, now))
        if now - last_at >= FORGOTTEN_AFTER:
            began_at = now
        if len(self._trouble) >= MAX_ADDRESSES:
            del self._trouble[next(iter(self._trouble))]
        self._trouble[address] = (began_at, now)
        other = self._before if self._newest[0] == address else self._newest
        return now - other[1] >= EVIDENCE_AGE and now - began_at < MAX_LOCAL_TROUBLE
