"""Whether what comes to a bin is signed as its receiver would want it, and if not, why not."""

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
    """A request as it came in. ``body`` is all of it, or None where not all of it came."""

    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    at: Micros


_NO_ENDPOINT = Finding(
    SignatureVerdict.UNCHECKED,
    "no endpoint of this server sends to this URL, so no secret is known",
)
_NOT_WHOLE = Finding(
    SignatureVerdict.UNCHECKED,
    "the signature covers all of the body, which is longer than what is read, did not end in time, "
    "or came with too many others",
)
_FAILED = Finding(SignatureVerdict.UNCHECKED, "the check itself failed; the server's log says why")


class BinCheck:
    """Checks requests as they come in, with the secrets of the endpoints that send to the bin.

    So it uses the secrets active at the time, and later rotations change no verdict.
    """

    def __init__(self, store: Store, directory: Directory, public_url: str) -> None:
        self._store = store
        self._directory = directory
        self._public_url = public_url

    async def find(self, arrival: Arrival) -> Finding:
        """Check a request. Raises nothing: a check that fails must not cost the request."""
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
        # Anyone may send 1 MB at a time: hashing that would block the event loop.
        found = await asyncio.to_thread(verify, dialect, secrets, arrival.headers, body, arrival.at)
        if found.valid:
            names = " and ".join(check.header for check in found.checks)
            return Finding(
                SignatureVerdict.VALID, f"{names}, checked against the secret active at the time"
            )
        return Finding(SignatureVerdict.INVALID, found.reason)
