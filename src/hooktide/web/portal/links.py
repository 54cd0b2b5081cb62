"""Portal links: whom they let in, until when, and whether to change anything. All is in the link.

A token is what it says and an HMAC-SHA256 of that, so nothing is stored and nothing can be guessed.
It cannot be taken back either: give it as long as somebody looks at the page, and make it anew.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass, field

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import SECOND, Micros

_FORM = struct.Struct(">BQI")
_TAG_BYTES = 32
_WHOLE = 1
_READ_ONLY = 2


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says."""

    account_id: int
    expires_at: Micros
    read_only: bool
    token: str = field(repr=False)


class PortalLinks:
    """Makes and reads links, with a key of the installation's own."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, account_id: int, expires_at: Micros, read_only: bool) -> Link:
        """Make a link; it ends on the whole second."""
        seconds = expires_at // SECOND
        kind = _READ_ONLY if read_only else _WHOLE
        said = _FORM.pack(kind, account_id, seconds)
        token = base64.urlsafe_b64encode(said + self._tag(said)).decode()
        return Link(account_id, seconds * SECOND, read_only, token)

    def read(self, token: str) -> Link:
        """Read a token; whether its time is over is for the caller to say.

        :raises NotFoundError: it was not made here.
        """
        try:
            whole = base64.b64decode(token.encode("ascii"), b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            whole = b""
        said, tag = whole[: _FORM.size], whole[_FORM.size :]
        if len(said) < _FORM.size or not hmac.compare_digest(tag, self._tag(said)):
            raise NotFoundError("portal link")
        kind, account_id, seconds = _FORM.unpack(said)
        return Link(account_id, seconds * SECOND, kind == _READ_ONLY, token)

    def _tag(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, hashlib.sha256)[:_TAG_BYTES]
