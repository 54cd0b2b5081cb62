"""The stash: what one request to a page leaves for the next.

A secret that is shown once, and a form that is shown again after a login, are stored encrypted in
the database for ten minutes: any process can serve the next request, and they appear in no URL and
no log.
"""

import hashlib
from collections.abc import Callable

from hooktide.domain.errors import UnsealError
from hooktide.domain.model import MINUTE, Micros
from hooktide.runtime.vault import Vault
from hooktide.store.contract import Store

LIFETIME = 10 * MINUTE


class Stash:
    """Stores text by place: a session, the page that will show it, and a name.

    It is sealed with keys derived from the vault's, so their rotation need not wait for it: text
    sealed with a dropped key is lost.
    """

    def __init__(self, store: Store, vault: Vault, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock

    async def put(self, place: tuple[str, ...], text: str) -> None:
        """Store a text, replacing any text at its place."""
        digest = _digest(place)
        sealed = self._cipher().seal(text.encode(), digest.hex())
        await self._store.put_stashed(digest, sealed, self._clock() + LIFETIME)

    async def take(self, place: tuple[str, ...]) -> str | None:
        """Remove and return a text; ``None`` if it was taken, has expired or never existed."""
        digest = _digest(place)
        return self._open(digest, await self._store.take_stashed(digest, self._clock()))

    async def get(self, place: tuple[str, ...]) -> str | None:
        """Return a text without removing it; ``None`` if there is none."""
        digest = _digest(place)
        return self._open(digest, await self._store.get_stashed(digest, self._clock()))

    def _open(self, digest: bytes, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._cipher().open(sealed, digest.hex()).decode()
        except UnsealError:
            return None

    def _cipher(self) -> Vault:
        return Vault(*self._vault.derived(b"hooktide stash"))


def _digest(place: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\0".join(place).encode()).digest()
