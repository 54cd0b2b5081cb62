"""The stash: sealed values that one request to a page leaves for the next."""

from hooktide.domain.model import Micros
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction


class Stash(Repository):
    """The store's methods for the stash. The values are already sealed."""

    @writes
    async def put_stashed(
        self, tx: Transaction, place: bytes, sealed: bytes, expires_at: Micros
    ) -> None:
        """Store a value until it is taken or expires, replacing any value at its place."""
        await tx.run("put_stashed", {"place": place, "sealed": sealed, "expires_at": expires_at})

    @writes
    async def take_stashed(self, tx: Transaction, place: bytes, now: Micros) -> bytes | None:
        """Remove and return a value; ``None`` if there is none or it has expired."""
        row = await tx.row("take_stashed", {"place": place, "now": now})
        return None if row is None else row[0]

    @reads
    async def get_stashed(self, tx: Transaction, place: bytes, now: Micros) -> bytes | None:
        """Return a value without removing it; ``None`` if there is none or it has expired."""
        row = await tx.row("get_stashed", {"place": place, "now": now})
        return None if row is None else row[0]
