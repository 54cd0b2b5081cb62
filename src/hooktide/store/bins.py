"""Request bins and their requests."""

from dataclasses import asdict, replace

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Bin, BinRequest, Micros, SignatureVerdict
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.rows import Row
from hooktide.store.sql.lists import newest
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import ForeignKeyError, Transaction

BINS_SPACE = 0x62696E73
"""Owners of bins are locked under this number; two that share a lock only wait."""


class Bins(Repository):
    """The store's methods for bins."""

    @writes
    async def create_bin(
        self, tx: Transaction, new: Bin, most: int, action: Action | None = None
    ) -> Bin:
        """Add a bin (its id is made here); an owner may have ``most`` unexpired ones.

        :raises RefusedError: ``too_many_bins``.
        """
        await tx.lock(BINS_SPACE, (new.account_id or new.project_id or 0) % (1 << 31))
        owner = {"project_id": new.project_id, "account_id": new.account_id}
        live = await tx.value("count_bins", {**owner, "now": new.created_at})
        refusals.check_bins(live, most)
        await tx.run("create_bin", {**asdict(new), "id": tx.ids(new.created_at)})
        made = await _read(tx, new.token, new.created_at)
        await record_change(tx, action, None, snapshot(made), new.created_at)
        return made

    @reads
    async def get_bin(self, tx: Transaction, token: str, now: Micros) -> Bin:
        """Find an unexpired bin by the token of its receiving URL."""
        return await _read(tx, token, now)

    @reads
    async def get_bin_by_page(self, tx: Transaction, page_token: str, now: Micros) -> Bin:
        """Find an unexpired bin by the token of its page."""
        values = {"page_token": page_token, "now": now}
        return _bin(await tx.one("bin", "get_bin_by_page", values))

    @writes
    async def update_bin(
        self, tx: Transaction, token: str, script: str, now: Micros, action: Action | None = None
    ) -> Bin:
        """Replace the responses of a bin."""
        old = await _read(tx, token, now)
        await tx.run("update_bin", {"token": token, "script": script})
        new = await _read(tx, token, now)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return new

    @writes
    async def take_bin_turn(self, tx: Transaction, bin_id: int) -> tuple[int, str]:
        """Count a request of a bin's script; return how many came before it, and the script.

        The count is shared by all processes, and restarts at 0 when the script is changed.

        :raises NotFoundError: the bin was deleted.
        """
        turn, script = await tx.one("bin", "take_bin_turn", {"id": bin_id})
        return turn, script

    @writes
    async def add_bin_request(
        self, tx: Transaction, request: BinRequest, keep: int, keep_bytes: int
    ) -> BinRequest:
        """Store a request (its id is made here).

        The newest ``keep`` requests of a bin stay, as long as their bodies, headers and paths take
        at most ``keep_bytes``; the newest one always stays.
        """
        id_ = tx.ids(request.received_at)
        values = {**asdict(request), "id": id_, "headers": rows.json_text(request.headers)}
        try:
            await tx.run("add_bin_request", values)
        except ForeignKeyError:
            raise NotFoundError("bin") from None
        kept = {"bin_id": request.bin_id, "keep": keep, "keep_bytes": keep_bytes}
        await tx.run("trim_bin", kept)
        return await _read_request(tx, request.bin_id, id_)

    @reads
    async def get_bin_request(self, tx: Transaction, bin_id: int, request_id: int) -> BinRequest:
        """Find one request of a bin."""
        return await _read_request(tx, bin_id, request_id)

    @reads
    async def list_bin_requests(
        self,
        tx: Transaction,
        bin_id: int,
        before: int | None,
        limit: int,
        *,
        after: int | None = None,
    ) -> Page:
        """Return a bin's requests, newest first; ``after``: only those with a larger id."""
        wanted = [
            ("bin_id = :bin_id", "bin_id", bin_id),
            ("id < :before", "before", before),
            ("id > :after", "after", after),
        ]
        return await newest(tx, "bin_requests", wanted, limit, _bin_request)

    @writes
    async def note_bin_request(
        self,
        tx: Transaction,
        found: Bin,
        request_id: int,
        note: str,
        action: Action | None = None,
    ) -> BinRequest:
        """Replace the note on a request of a bin."""
        old = await _read_request(tx, found.id, request_id)
        if note == old.note:
            return old
        await tx.run("note_bin_request", {"bin_id": found.id, "id": request_id, "note": note})
        await record_action(tx, action, snapshot(found), self.clock())
        return replace(old, note=note)

    @writes
    async def delete_bin(self, tx: Transaction, bin_id: int, action: Action | None = None) -> None:
        """Delete a bin and its requests; its URL answers 404 afterwards."""
        old = _bin(await tx.one("bin", "get_bin_by_id", {"id": bin_id}))
        await record_change(tx, action, snapshot(old), None, self.clock())
        await tx.run("delete_bin", {"id": bin_id})

    @writes
    async def clear_bin(self, tx: Transaction, bin_id: int, action: Action | None = None) -> None:
        """Delete a bin's requests."""
        found = _bin(await tx.one("bin", "get_bin_by_id", {"id": bin_id}))
        await record_action(tx, action, snapshot(found), self.clock())
        await tx.run("clear_bin", {"bin_id": bin_id})


async def _read(tx: Transaction, token: str, now: Micros) -> Bin:
    return _bin(await tx.one("bin", "get_bin", {"token": token, "now": now}))


async def _read_request(tx: Transaction, bin_id: int, request_id: int) -> BinRequest:
    values = {"bin_id": bin_id, "id": request_id}
    where = " WHERE bin_id = :bin_id AND id = :id"
    return _bin_request(await tx.one("request", "bin_requests", values, where))


def _bin(row: Row) -> Bin:
    """Read a bin's columns."""
    return Bin(
        id=row[0],
        token=row[1],
        project_id=row[2],
        account_id=row[3],
        script=row[4],
        created_at=row[5],
        expires_at=row[6],
        page_token=row[7],
    )


def _bin_request(row: Row) -> BinRequest:
    """Read a request's columns."""
    return BinRequest(
        id=row[0],
        bin_id=row[1],
        method=row[2],
        path=row[3],
        headers=rows.read_headers(row[4]),
        body=row[5],
        body_size=row[6],
        answered=row[7],
        received_at=row[8],
        verdict=SignatureVerdict(row[9]),
        reason=row[10],
        address=row[11],
        note=row[12],
    )
