"""Portal links: which account they open, until when, and whether changes are allowed. A link is
self-contained: its token holds these facts and their HMAC-SHA256, so nothing is stored and nothing
can be guessed.

It includes the account's link generation: raising that revokes all earlier links.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hooktide.actions.audit_log import AuditLog
from hooktide.domain.audit_log import Actor, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import SECOND, Account, Micros
from hooktide.runtime.vault import Vault

_FORM = struct.Struct(">BQII")
_TAG_BYTES = 32
_WHOLE = 3
_READ_ONLY = 4


@dataclass(frozen=True, slots=True)
class PortalLink:
    """The contents of a token."""

    account_id: int
    expires_at: Micros
    read_only: bool
    generation: int
    token: str = field(repr=False)

    def url(self, public_url: str) -> str:
        """Return the link's URL."""
        return f"{public_url}/portal/{self.token}"


class PortalLinks:
    """Creates and reads links. ``keys`` are the installation's own: the first signs, all verify."""

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def make(self, account: Account, expires_at: Micros, read_only: bool) -> PortalLink:
        """Create a link; its expiry is rounded to whole seconds."""
        seconds = expires_at // SECOND
        kind = _READ_ONLY if read_only else _WHOLE
        said = _FORM.pack(kind, account.id, seconds, account.link_generation)
        token = base64.urlsafe_b64encode(said + _tag(self._keys()[0], said)).decode()
        return PortalLink(account.id, seconds * SECOND, read_only, account.link_generation, token)

    def read(self, token: str) -> PortalLink:
        """Read a token; the caller checks whether it has expired or is revoked.

        :raises NotFoundError: it was not created here.
        """
        try:
            whole = base64.b64decode(token.encode("ascii"), b"-_", validate=True)
        except ValueError:  # it is not ASCII, or not base64
            whole = b""
        said, tag = whole[: _FORM.size], whole[_FORM.size :]
        genuine = any(hmac.compare_digest(tag, _tag(key, said)) for key in self._keys())
        if len(said) < _FORM.size or not genuine:
            raise NotFoundError("portal link")
        kind, account_id, seconds, generation = _FORM.unpack(said)
        return PortalLink(account_id, seconds * SECOND, kind != _WHOLE, generation, token)


async def create_portal_link(
    links: PortalLinks,
    audit_log: AuditLog,
    actor: Actor,
    account: Account,
    expires_at: Micros,
    read_only: bool,
) -> PortalLink:
    """Create a link to an account's portal, and record it in the audit log.

    :raises UnavailableError: the audit entry could not be written, so no link was created.
    """
    detail = "read-only" if read_only else "read and write"
    await audit_log.note(actor.does("portal_link.create", detail=detail), snapshot(account))
    return links.make(account, expires_at, read_only)


def portal_links(vault: Vault) -> PortalLinks:
    """Return the links of an installation, signed with keys that are derived from its own."""
    return PortalLinks(lambda: vault.derived(b"hooktide portal links"))


def _tag(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)[:_TAG_BYTES]
