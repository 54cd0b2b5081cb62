"""Whether requests to a bin are signed correctly, and if not, why."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.domain.dialect.signing import verify
from hooktide.domain.model import Endpoint, Micros, SignatureVerdict
from hooktide.store.contract import Store
from hooktide.store.directory import Directory

log = logging.getLogger("hooktide.bins")


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and its reason as a sentence for the bin's page."""

    verdict: SignatureVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as received. ``body`` is complete, or None if it was not."""

    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    at: Micros


_NO_ENDPOINT = Finding(
    SignatureVerdict.UNCHECKED,
    "no endpoint on this server sends to this URL, so no secret is known",
)
_NOT_WHOLE = Finding(
    SignatureVerdict.UNCHECKED,
    "the signature covers the whole body, which was too long, did not arrive in time, or arrived "
    "with too many others",
)
_FAILED = Finding(SignatureVerdict.UNCHECKED, "the check itself failed; the server's log says why")


class BinCheck:
    """Checks requests on arrival, with the secrets of the endpoints that send to the bin.

    It uses the secrets active at that time, so later rotations change no verdict.
    """

    def __init__(self, store: Store, directory: Directory, public_url: str) -> None:
        self._store = store
        self._directory = directory
        self._public_url = public_url

    async def find(self, arrival: Arrival) -> Finding:
        """Check a request. Never raises: a failing check must not lose the request."""
        try:
            return await self._find(arrival)
        except Exception:
            log.exception("the signature of a bin's request could not be checked")
            return _FAILED

    async def _find(self, arrival: Arrival) -> Finding:
        endpoints = await self._store.endpoints_at(self._public_url + arrival.path)
        if not endpoints:
            return _NO_ENDPOINT
        if arrival.body is None:
            return _NOT_WHOLE
        findings = [await self._find_for(each, arrival, arrival.body) for each in endpoints]
        return min(findings, key=lambda finding: finding.verdict is not SignatureVerdict.VALID)

    async def _find_for(self, endpoint: Endpoint, arrival: Arrival, body: bytes) -> Finding:
        dialect = (await self._directory.project(endpoint.project_id)).project.dialect
        secrets = tuple(active.secret for active in endpoint.secrets)
        # Anyone can send 1 MB at a time; hashing that would block the event loop.
        found = await asyncio.to_thread(verify, dialect, secrets, arrival.headers, body, arrival.at)
        if found.valid:
            names = " and ".join(check.header for check in found.checks)
            return Finding(
                SignatureVerdict.VALID, f"{names}, checked against the secret active at the time"
            )
        return Finding(SignatureVerdict.INVALID, found.reason)
