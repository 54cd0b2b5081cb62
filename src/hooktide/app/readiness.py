"""Whether a process is ready, and what needs an operator's attention in any case."""

import asyncio

from hooktide.app.first_start import GIVEN_KEY_REVOKED, OperatorKey
from hooktide.domain.ids import show
from hooktide.engine.destinations import Destinations
from hooktide.engine.periodic.write_probe import WriteProbe
from hooktide.web.health import Readiness


class ReadinessCheck:
    """Checks the parts of a process.

    ``is_replaced``: it is stopping but still reports ready, because other processes are behind the
    same address.
    """

    def __init__(
        self,
        stopping: asyncio.Event,
        write_probe: WriteProbe,
        operator_key: OperatorKey,
        destinations: Destinations,
    ) -> None:
        self.is_replaced = False
        self._stopping = stopping
        self._write_probe = write_probe
        self._operator_key = operator_key
        self._destinations = destinations

    async def check(self) -> Readiness:
        """Return the readiness to report now."""
        if self._stopping.is_set() and not self.is_replaced:
            return Readiness(["the server is stopping"])
        trouble = await self._write_probe.trouble()
        return Readiness([f"the database: {trouble}"] if trouble else [], self._warnings())

    def _warnings(self) -> list[str]:
        warnings = [GIVEN_KEY_REVOKED] if self._operator_key.is_revoked else []
        waiting = sorted(show("ep", each) for each in self._destinations.unsealed)
        if waiting:
            first = ", ".join(waiting[:5])
            warnings.append(
                f"{len(waiting)} endpoints wait because a secret or a key is missing: {first}"
            )
        return warnings
