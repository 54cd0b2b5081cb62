"""Passwords: scrypt, off the event loop, a few at a time."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import unicodedata

from hooktide.domain.errors import InvalidError, UnavailableError

SHORTEST = 12
LONGEST = 200
COST = 15
"""The power of two that is scrypt's N: 32 MB and a tenth of a second for each guess."""
SALT_BYTES = 16
KEY_BYTES = 32
AT_ONCE = 2
WAITING = 20

NOBODYS = f"scrypt${COST}$8$1${'A' * 24}${'A' * 44}"
"""What a password is compared with that is nobody's: it takes as long as any other."""


class Passwords:
    """Makes what is stored of passwords, and compares with it."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def sealed(self, password: str, name: str) -> str:
        """Return what is stored of a new password.

        :raises InvalidError: it is too short, too long, or the name.
        :raises UnavailableError: too many ask at once.
        """
        _check(password, name)
        salt = secrets.token_bytes(SALT_BYTES)
        key = await self._key(password, salt, COST, 8, 1)
        return f"scrypt${COST}$8$1${_text(salt)}${_text(key)}"

    async def fits(self, password: str, stored: str) -> bool:
        """Say whether a password is the stored one; empty: none is.

        :raises UnavailableError: too many ask at once.
        """
        _, cost, block, lanes, salt, key = (stored or NOBODYS).split("$")
        given = await self._key(
            password[:LONGEST], base64.b64decode(salt), int(cost), int(block), int(lanes)
        )
        same = hmac.compare_digest(given, base64.b64decode(key))
        return same and bool(stored) and len(password) <= LONGEST

    async def _key(self, password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
        if self._waiting >= WAITING:
            raise UnavailableError("too many log in at once; try again")
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(
                    hashlib.scrypt,
                    unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass"),
                    salt=salt,
                    n=1 << cost,
                    r=block,
                    p=lanes,
                    maxmem=2 * (128 * block << cost),
                    dklen=KEY_BYTES,
                )
        finally:
            self._waiting -= 1


def _check(password: str, name: str) -> None:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidError(
            "invalid_password", f"use {SHORTEST} to {LONGEST} characters", pointer="/password"
        )
    if password.casefold() == name.casefold():
        raise InvalidError("invalid_password", "it is the name", pointer="/password")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
