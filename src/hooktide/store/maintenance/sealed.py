"""The sealed values of a database: checking that the keys open them, and resealing them with a new
key.

An endpoint's own headers and secret URL and its signing secrets are sealed. Each database reads and
writes the rows in its own way; this module transforms them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hooktide.domain.audit_log import Action
from hooktide.domain.errors import ConfigError, UnsealError
from hooktide.domain.model import Micros
from hooktide.runtime.vault import FORMAT, PREFIX_BYTES, Vault
from hooktide.store import rows
from hooktide.store.rows import Row
from hooktide.store.sql.transaction import Statements

BATCH_SIZE = 500
"""Rows per transaction: few enough that no publish waits for it."""
LIVE_TIMEOUT: Micros = 30_000_000
"""A process that has not reported for this long counts as ended."""


PREFIXES = {"bytes": PREFIX_BYTES, "mark": FORMAT, "none": b""}
"""The parameters of ``sealed_prefixes``."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """Which keys a server process has read."""

    process: str
    key_ids: tuple[str, ...]


class SealedRows(Protocol):
    """The sealed rows of a database, also while servers run on it."""

    async def live(self) -> Sequence[KeyReport]:
        """Return the reports of the running processes."""

    async def prefixes(self) -> Mapping[bytes, int]:
        """Return how many values are sealed, by their first ``PREFIX_BYTES``."""

    async def reseal(self, vault: Vault, action: Action | None = None) -> int:
        """Reseal one batch with the sealing key; return the number of rows (0: done).

        ``action`` is recorded in the audit log in the same transaction, unless nothing was
        resealed.
        """

    async def note(self, action: Action) -> None:
        """Write a line of the audit log."""

    async def close(self) -> None:
        """Close the database."""


def check_key(endpoint_id: int, secret: Sequence[Any], vault: Vault) -> None:
    """Check at startup that the key file belongs to this database.

    :raises ConfigError: it does not.
    """
    try:
        rows.active_secret(endpoint_id, (*secret, None), vault)
    except UnsealError:
        raise ConfigError(
            "no key of this file opens the secrets in the database; start with the key file that "
            "belongs to this database",
            key="key_file",
        ) from None


def count_by_key(prefixes: Mapping[bytes, int], vault: Vault) -> Mapping[str, int]:
    """Return how many values each key of the vault has sealed; ``""`` stands for other or unknown
    keys.

    Values from before keys had ids are unknown until they are resealed.
    """
    known = {vault.prefix_of(key_id): key_id for key_id in vault.ids}
    found: Counter[str] = Counter(dict.fromkeys(vault.ids, 0))
    for prefix, count in prefixes.items():
        found[known.get(bytes(prefix), "")] += count
    return found


def read_key_report(row: Row) -> KeyReport:
    """Read the columns of ``key_reports``."""
    process, key_ids = row
    return KeyReport(process, tuple(key_ids.split()))


async def reseal(statements: Statements, vault: Vault) -> int:
    """Seal one batch with the sealing key, in a transaction; how many rows that were."""
    values = {"prefix": vault.prefix, "bytes": PREFIX_BYTES, "limit": BATCH_SIZE}
    endpoints = await statements.rows("endpoints_to_reseal", values)
    for row in endpoints:
        await statements.run("reseal_endpoint", _resealed_endpoint(row, vault))
    secrets = await statements.rows("secrets_to_reseal", values)
    for row in secrets:
        await statements.run("reseal_secret", _resealed_secret(row, vault))
    return len(endpoints) + len(secrets)


def _resealed_endpoint(row: Row, vault: Vault) -> dict[str, Any]:
    """Return ``id, headers, sealed_url`` sealed with the sealing key."""
    endpoint_id, headers, sealed_url = row
    url = rows.url_row(endpoint_id)
    return {
        "id": endpoint_id,
        "headers": _resealed(headers, rows.headers_row(endpoint_id), vault),
        "sealed_url": None if sealed_url is None else _resealed(sealed_url, url, vault),
    }


def _resealed_secret(row: Row, vault: Vault) -> dict[str, Any]:
    """Return ``endpoint_id, created_at, sealed`` sealed with the sealing key."""
    endpoint_id, created_at, sealed = row
    place = rows.secret_row(endpoint_id, created_at)
    return {
        "endpoint_id": endpoint_id,
        "created_at": created_at,
        "sealed": _resealed(sealed, place, vault),
    }


def _resealed(sealed: bytes, place: str, vault: Vault) -> bytes:
    if sealed[:PREFIX_BYTES] == vault.prefix:
        return sealed
    return vault.seal(vault.open(sealed, place), place)
