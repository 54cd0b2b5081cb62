"""Authentication: bearer keys, looked up by their SHA-256 and cached.

A key is ``htk_`` and 43 characters (32 random bytes). It comes in one ``Authorization`` header and
nowhere else; only its digest is stored or kept in memory. A ``Hooktide-Project`` header restricts
any request to one project.
"""

import hashlib
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from hooktide.actions.access.keys import PREFIX, new_key
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.model import ApiKey, Micros, Scope
from hooktide.runtime.cache import Cache
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.writing.batch import run_batch

__all__ = ["Authenticator", "Credential", "UnauthorizedError", "new_key"]

PROJECT_HEADER = "Hooktide-Project"
MAX_KEY_LENGTH = 256
MAX_CACHED_KEYS = 10_000


class UnauthorizedError(RefusedError):
    """The request has no valid key."""

    def __init__(self, detail: str) -> None:
        super().__init__("unauthorized", detail, status=401)


@dataclass(frozen=True, slots=True)
class Credential:
    """An active key and its scope."""

    key: ApiKey
    scope: Scope


class Authenticator:
    """Finds the credential of a request.

    Exact within one process: a revoked key is dropped from the cache right after the commit.
    """

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._known: Cache[bytes, Credential] = Cache(MAX_CACHED_KEYS, lambda known: known.key.id)
        self._used: dict[int, Micros] = {}

    def cached(self, header: bytes) -> Credential | None:
        """Return the credential of an ``Authorization`` header, if it is in memory."""
        digest = key_digest(header)
        return self.cached_by(digest) if digest else None

    def cached_by(self, digest: bytes) -> Credential | None:
        """Return the credential of a key by its digest (``key_digest``), if it is in memory."""
        found = self._known.get(digest)
        if found is not None:
            self._used[found.key.id] = self._clock()
        return found

    async def authenticate(self, scope: MutableMapping[str, Any]) -> Credential:
        """Return the credential of a request (its ASGI scope).

        :raises UnauthorizedError: it has no key, two keys, or a key in the wrong place.
        :raises NotFoundError: the key has no access to the project that it names.
        """
        given = _key_of(scope)
        found = self.cached_by(hashlib.sha256(given).digest()) or await self._find(given)
        named = [value for name, value in scope["headers"] if name == _PROJECT]
        return await self.within(found, named) if named else found

    async def within(self, credential: Credential, named: Sequence[bytes]) -> Credential:
        """Restrict a credential to the project named in a request's header.

        :raises InvalidError: it names several.
        :raises NotFoundError: the key has no access to a project with this name.
        """
        if len(set(named)) > 1:
            raise InvalidError("invalid_query", f"send one {PROJECT_HEADER} header, not two")
        name = named[0].decode("utf-8", "replace")
        row = await self._directory.project_by_name(credential.scope, name)
        scope = Scope(project_id=row.id, account_id=credential.scope.account_id)
        return Credential(credential.key, scope)

    async def _find(self, given: bytes) -> Credential:
        digest, seen = hashlib.sha256(given).digest(), self._known.changes
        key = await self._store.find_key(digest)
        if key is None:
            raise UnauthorizedError("this key is unknown or revoked")
        found = Credential(key, Scope(project_id=key.project_id, account_id=key.account_id))
        self._known.keep(digest, found, seen)
        self._used[key.id] = self._clock()
        return found

    def changed(self, kind: str, number: int) -> None:
        """Drop what a commit changed."""
        if kind in {"key", "everything"}:
            self.forget(number)

    def forget(self, key_id: int) -> None:
        """Drop a key from the cache (0: all keys); the next request with it reads the store."""
        if key_id:
            self._known.drop_group(key_id)
        else:
            self._known.clear()

    async def flush(self) -> int:
        """Record when keys were last used; return how many."""
        used, self._used = self._used, {}

        async def touch(key_ids: Sequence[int]) -> None:
            await self._store.touch_keys({key_id: used[key_id] for key_id in key_ids})

        try:
            await run_batch(list(used), touch, "note the use of key {}".format)
        except BaseException:
            self._used = used | self._used
            raise
        return len(used)


_PROJECT = PROJECT_HEADER.lower().encode()


def key_digest(header: bytes) -> bytes:
    """Return the digest of the key in an ``Authorization`` header; empty: it has another form."""
    return hashlib.sha256(header[7:]).digest() if header[:7] == b"Bearer " else b""


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
    if scheme.lower() != b"bearer" or not 0 < len(key) <= MAX_KEY_LENGTH:
        raise UnauthorizedError("send Authorization: Bearer htk_...")
    return key
