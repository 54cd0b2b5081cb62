"""Who is asking: bearer keys, found by their SHA-256 and remembered.

A key is ``htk_`` and 43 characters (32 random bytes). It comes in one ``Authorization`` header and
nowhere else; only its digest is stored or kept in memory.
"""

import hashlib
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from hooktide.actions.keys import PREFIX, new_key
from hooktide.domain.errors import RefusedError
from hooktide.domain.model import ApiKey, Micros, Scope
from hooktide.store.base import Store

__all__ = ["Authenticator", "Credential", "UnauthorizedError", "new_key"]

LONGEST_KEY = 256
MOST_KEPT = 10_000


class UnauthorizedError(RefusedError):
    """The request carries no key that opens anything."""

    def __init__(self, detail: str) -> None:
        super().__init__("unauthorized", detail, status=401)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that is in force, and whose things it reaches."""

    key: ApiKey
    scope: Scope


class Authenticator:
    """Finds the credential of a request.

    Exact in one process: a key that was revoked is forgotten right after the commit.
    """

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[bytes, Credential] = {}
        self._used: dict[int, Micros] = {}
        self._changes = 0

    def cached(self, header: bytes) -> Credential | None:
        """Return the credential of an ``Authorization`` header, if it is in memory."""
        if header[:7] != b"Bearer ":
            return None
        found = self._known.get(hashlib.sha256(header[7:]).digest())
        if found is not None:
            self._used[found.key.id] = self._clock()
        return found

    async def authenticate(self, scope: MutableMapping[str, Any]) -> Credential:
        """Return the credential of a request (its ASGI scope).

        :raises UnauthorizedError: it has none, or two, or it is in the wrong place.
        """
        given = _key_of(scope)
        return self.cached(b"Bearer " + given) or await self._find(given)

    async def _find(self, given: bytes) -> Credential:
        digest, seen = hashlib.sha256(given).digest(), self._changes
        key = await self._store.find_key(digest)
        if key is None:
            raise UnauthorizedError("this key is unknown or revoked")
        found = Credential(key, Scope(project_id=key.project_id, account_id=key.account_id))
        if seen == self._changes:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[digest] = found
        self._used[key.id] = self._clock()
        return found

    def changed(self, kind: str, number: int) -> None:
        """Forget what a commit changed."""
        if kind in {"key", "everything"}:
            self.forget(number)

    def forget(self, key_id: int) -> None:
        """Forget a key (0: all of them); the next request with it asks the store."""
        self._changes += 1
        self._known = {
            digest: known
            for digest, known in self._known.items()
            if key_id not in (0, known.key.id)
        }

    async def flush(self) -> int:
        """Write down when keys were last used; how many were."""
        used, self._used = self._used, {}
        if used:
            try:
                await self._store.touch_keys(used)
            except BaseException:
                self._used = used | self._used
                raise
        return len(used)


def _key_of(scope: MutableMapping[str, Any]) -> bytes:
    if PREFIX.encode() in scope["query_string"]:
        raise UnauthorizedError(
            "a key in the URL ends up in logs; send it as Authorization: Bearer htk_... and "
            "replace this one"
        )
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise UnauthorizedError(
            "send one Authorization header, not two"
            if given
            else "send Authorization: Bearer htk_..."
        )
    scheme, _, key = bytes(given[0]).partition(b" ")
    if scheme.lower() != b"bearer" or not 0 < len(key) <= LONGEST_KEY:
        raise UnauthorizedError("send Authorization: Bearer htk_...")
    return key
