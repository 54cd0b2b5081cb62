"""Secrets sealed at rest: AES-256-GCM with a key that is never in the database."""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooktide.domain.errors import ConfigError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Seals and opens byte strings; what was sealed with another key does not open."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes) -> bytes:
        """Return ``plain`` sealed: a fresh nonce and the ciphertext with its tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed.

        :raises ConfigError: it was sealed with another key, or was changed.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except InvalidTag:
            raise ConfigError(
                "the database holds secrets that this key does not open; "
                "start with the key file that belongs to this database",
                key="key_file",
            ) from None


def load_key(path: Path) -> bytes:
    """Read the key file, made on first use (mode 0600, 32 random bytes in base64).

    :raises ConfigError: the file cannot be read or made, or does not hold a key.
    """
    try:
        if not path.exists():
            _make_key_file(path)
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}", key="key_file") from error
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} does not hold {KEY_BYTES} bytes in base64", key="key_file")
    return key


def _make_key_file(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()  # half a key would be refused at every start from now on
        raise
