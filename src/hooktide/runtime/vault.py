"""Secrets sealed at rest: AES-256-GCM with keys that are never in the database.

The key file holds one key per line, 32 random bytes in base64. The first one seals; all of them
open. ``added`` after a key means that it was never used for sealing. `hooktide keys` changes the
file, and a server reads it again within ``KEY_FILE_INTERVAL``.
"""

import base64
import binascii
import contextlib
import fcntl
import glob
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooktide.domain.errors import ConfigError, UnsealError

KEY_BYTES = 32
KEY_FILE_INTERVAL = 5.0
"""Seconds between two checks of the key file."""
_NONCE_BYTES = 12
_ID_BYTES = 4
FORMAT = b"HK1"
_ADDED = b" added"
PREFIX_BYTES = len(FORMAT) + _ID_BYTES


@dataclass(frozen=True, slots=True)
class _Ring:
    """The keys, and a cipher of each by its id: the first one seals."""

    keys: tuple[bytes, ...]
    ciphers: Mapping[bytes, AESGCM]


class Vault:
    """Seals and opens byte strings. The first key seals; all of them open.

    What is sealed is bound to its row: ciphertext that is copied to another row does not open.
    """

    def __init__(self, *keys: bytes) -> None:
        self.replace(keys)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Switch to other keys; a thread that seals meanwhile uses either set."""
        self._ring = _Ring(tuple(keys), {_id(key): AESGCM(key) for key in keys})

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, that of the sealing one first."""
        return tuple(each.hex() for each in self._ring.ciphers)

    @property
    def prefix(self) -> bytes:
        """The prefix of everything sealed from now on."""
        return FORMAT + next(iter(self._ring.ciphers))

    def prefix_of(self, key_id: str) -> bytes:
        """Return the prefix of everything that a key has sealed."""
        return FORMAT + bytes.fromhex(key_id)

    def seal(self, plain: bytes, row: str) -> bytes:
        """Return ``plain`` sealed: format, key id, a fresh nonce, the ciphertext with its tag.

        ``row`` names the place it is stored in, and is authenticated along with it.
        """
        nonce = os.urandom(_NONCE_BYTES)
        key_id, cipher = next(iter(self._ring.ciphers.items()))
        return FORMAT + key_id + nonce + cipher.encrypt(nonce, plain, row.encode())

    def open(self, sealed: bytes, row: str) -> bytes:
        """Return what was sealed for ``row``.

        :raises UnsealError: no key of the file opens it, or it was changed, cut off or moved.
        """
        ciphers = self._ring.ciphers
        key_id, rest = sealed[len(FORMAT) : PREFIX_BYTES], sealed[PREFIX_BYTES:]
        cipher = ciphers.get(key_id) if sealed.startswith(FORMAT) else None
        if cipher is not None:
            with _not_opening():
                return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], row.encode())
        for each in ciphers.values():  # the format before it contained key ids and rows
            with _not_opening():
                return each.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        raise UnsealError(f"no key in the key file opens the sealed value in {row}")

    def derived(self, purpose: bytes) -> tuple[bytes, ...]:
        """Return a key for another purpose from each key: the first signs, all of them verify."""
        return tuple(hashlib.sha256(purpose + key).digest() for key in self._ring.keys)


def _not_opening() -> AbstractContextManager[None]:
    """Continue if a key does not open something; a truncated nonce raises ``ValueError``."""
    return contextlib.suppress(InvalidTag, ValueError)


def key_id(key: bytes) -> str:
    """Return a key's id, which may be shown."""
    return _id(key).hex()


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"hooktide key id" + key).digest()[:_ID_BYTES]


def load_vault(path: Path) -> Vault:
    """Read the key file, which is created on first use (mode 0600, one random key).

    :raises ConfigError: the file cannot be read or made, or does not hold keys.
    """
    try:
        if not path.exists():
            write_keys(path, [secrets.token_bytes(KEY_BYTES)], new=True)
    except FileExistsError:
        pass  # another process has just created it
    except OSError as error:
        raise _cannot_use(path, error) from error
    return Vault(*read_keys(path))


def read_keys(path: Path) -> list[bytes]:
    """Read the keys of a file, the sealing one first.

    :raises ConfigError: the file cannot be read, or does not hold keys.
    """
    keys = [
        _read_key(path, number, line.removesuffix(_ADDED))
        for number, line in enumerate(_lines(path), 1)
    ]
    if not keys:
        raise ConfigError(
            f"{path} is empty: restore this database's keys from your backups; for a new database, "
            "remove the file, and the next start creates a key",
            key="key_file",
        )
    return keys


def added_key(path: Path) -> bytes | None:
    """Return the key of a file that was never used for sealing, or ``None``."""
    for key, line in zip(read_keys(path), _lines(path), strict=True):
        if line.endswith(_ADDED):
            return key
    return None


def _lines(path: Path) -> list[bytes]:
    try:
        return [line.strip() for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise _cannot_use(path, error) from error


def _read_key(path: Path, number: int, line: bytes) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path}: key {number} is not {KEY_BYTES} bytes in base64: restore the file from your "
            "backups",
            key="key_file",
        )
    return key


@contextmanager
def changing_keys(path: Path) -> Iterator[None]:
    """Lock a key file against other processes, whose changes would be lost.

    Temporary files of a process that was killed are removed, because they contain keys.

    :raises ConfigError: another process is changing it, or the folder does not exist.
    """
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _cannot_use(path, error) from error
    try:
        _lock(descriptor, path)
        if path.exists():
            for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
                part.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"another hooktide keys is changing {path}; wait until it has ended", key="key_file"
        ) from None


def write_keys(
    path: Path, keys: Sequence[bytes], *, added: bytes | None = None, new: bool = False
) -> None:
    """Write a key file atomically.

    ``added`` is the key that was never used for sealing.

    :raises FileExistsError: it should be ``new`` but exists.
    :raises OSError: it cannot be written.
    """
    lines = [base64.b64encode(key) + (_ADDED if key == added else b"") for key in keys]
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(part, path)  # unlike a rename, it replaces nothing
        else:
            _keep_owner(path, part)
            part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _keep_owner(old: Path, new: Path) -> None:
    """Preserve the owner of a key file that root rewrites."""
    status = old.stat()
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(new, status.st_uid, status.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_use(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot use {path}: {error.strerror}", key="key_file")
