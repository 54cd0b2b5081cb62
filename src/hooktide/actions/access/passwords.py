"""Passwords: Argon2id, off the event loop, a few at a time."""

import asyncio
import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from hooktide.domain.errors import InvalidError, UnavailableError

Result = TypeVar("Result")

MIN_LENGTH = 12
MAX_LENGTH = 200
MIN_DIFFERENT = 5
MAX_CONCURRENT_HASHES = 2
"""Each uses 32 MB, and a core for a tenth of a second."""
MAX_WAITING = 20

_HASHER = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)
"""Above OWASP's minimum for Argon2id, and about the cost of scrypt, which older hashes use."""


class Passwords:
    """Hashes passwords and verifies them. ``hasher`` computes the hashes with its own cost
    parameters."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
        # Verified against if no hash is stored, so that the check takes equally long.
        self._no_password = f"$argon2id$v=19${cost}${'A' * 22}${'A' * 43}"
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_HASHES)
        self._waiting = 0

    async def hash(self, password: str, name: str) -> str:
        """Return the hash of a new password for a user.

        :raises InvalidError: it is too short, too long, or the user's name.
        :raises UnavailableError: too many requests at once.
        """
        _check(password, name)
        return await self._run(lambda: self._hasher.hash(_encode(password)))

    async def verify(self, password: str, stored: str) -> bool:
        """Return whether a password matches the hash ``stored``.

        An empty ``stored`` matches no password and takes equally long.

        :raises UnavailableError: too many requests at once.
        """
        given = _encode(password[:MAX_LENGTH])
        same = await self._run(lambda: _verify(given, stored or self._no_password))
        return same and bool(stored) and len(password) <= MAX_LENGTH

    async def rehash(self, password: str, stored: str) -> str:
        """Return a new hash of a password that was just verified, or ``stored`` if it is up to
        date.

        :raises UnavailableError: too many requests at once.
        """
        if not _is_scrypt(stored) and not self._hasher.check_needs_rehash(stored):
            return stored
        return await self._run(lambda: self._hasher.hash(_encode(password)))

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many logins at once; try again")
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _check(password: str, name: str) -> None:
    if len(password.strip()) < MIN_LENGTH or len(password) > MAX_LENGTH:
        why = f"use {MIN_LENGTH} to {MAX_LENGTH} characters, not counting spaces at either end"
    elif len(set(password.casefold())) < MIN_DIFFERENT:
        why = f"use at least {MIN_DIFFERENT} different characters"
    elif password.strip().casefold() == name.casefold():
        why = "the password must differ from the user name"
    else:
        return
    raise InvalidError("invalid_password", why, pointer="/password")


def _encode(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _verify(password: bytes, stored: str) -> bool:
    if _is_scrypt(stored):
        return _verify_scrypt(password, stored)
    try:
        return _HASHER.verify(stored, password)
    except VerifyMismatchError:
        return False


def _is_scrypt(stored: str) -> bool:
    """Whether a hash has the format used up to version 0.1."""
    return stored.startswith("scrypt$")


def _verify_scrypt(password: bytes, stored: str) -> bool:
    _, cost, block, lanes, salt, key = stored.split("$")
    given = hashlib.scrypt(
        password,
        salt=base64.b64decode(salt),
        n=1 << int(cost),
        r=int(block),
        p=int(lanes),
        maxmem=2 * (128 * int(block) << int(cost)),
        dklen=32,
    )
    return hmac.compare_digest(given, base64.b64decode(key))
