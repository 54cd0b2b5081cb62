"""Request bins in SQLite."""

from dataclasses import asdict

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Bin, BinRequest, Micros
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.batch import Effects
from hooktide.store.lists import conditions, page
from hooktide.store.sqlite.part import Part


class Bins(Part):
    """The store's methods for bins and what they were sent."""

    async def add_bin(self, new: Bin, most: int) -> Bin:
        def write(db: apsw.Connection, _: Effects) -> Bin:
            self._check_room(db, new, most)
            values = {**asdict(new), "id": self._ids(new.created_at)}
            db.execute(self._sql["add_bin"], values)
            return self._bin(db, new.token, new.created_at)

        return await self._write(write)

    def _check_room(self, db: apsw.Connection, new: Bin, most: int) -> None:
        values = {
            "project_id": new.project_id,
            "account_id": new.account_id,
            "now": new.created_at,
        }
        [live] = self._one(db, "bin", self._sql["count_bins"], values)
        refusals.check_bins(live, most)

    async def get_bin(self, token: str, now: Micros) -> Bin:
        return await self._read(lambda db: self._bin(db, token, now))

    def _bin(self, db: apsw.Connection, token: str, now: Micros) -> Bin:
        values = {"token": token, "now": now}
        return rows.bin_(self._one(db, "bin", self._sql["get_bin"], values))

    async def change_bin(self, token: str, script: str, now: Micros) -> Bin:
        def write(db: apsw.Connection, _: Effects) -> Bin:
            self._bin(db, token, now)
            db.execute(self._sql["change_bin"], {"token": token, "script": script})
            return self._bin(db, token, now)

        return await self._write(write)

    async def add_bin_request(self, request: BinRequest, keep: int) -> BinRequest:
        def write(db: apsw.Connection, _: Effects) -> BinRequest:
            id_ = self._ids(request.received_at)
            values = {
                **asdict(request),
                "id": id_,
                "headers": rows.json_text(request.headers),
            }
            try:
                db.execute(self._sql["add_bin_request"], values)
            except apsw.ConstraintError:
                raise NotFoundError("bin") from None
            db.execute(self._sql["trim_bin"], {"bin_id": request.bin_id, "keep": keep})
            return self._bin_request(db, request.bin_id, id_)

        return await self._write(write)

    def _bin_request(self, db: apsw.Connection, bin_id: int, request_id: int) -> BinRequest:
        sql = self._sql["bin_requests"] + " WHERE bin_id = :bin_id AND id = :id"
        values = {"bin_id": bin_id, "id": request_id}
        return rows.bin_request(self._one(db, "request", sql, values))

    async def get_bin_request(self, bin_id: int, request_id: int) -> BinRequest:
        return await self._read(lambda db: self._bin_request(db, bin_id, request_id))

    async def list_bin_requests(self, bin_id: int, before: int | None, limit: int) -> Page:
        wanted = [("bin_id = :bin_id", "bin_id", bin_id), ("id < :before", "before", before)]
        where, values = conditions(wanted)
        sql = self._sql["bin_requests"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.bin_request)

    async def remove_bin(self, bin_id: int) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            db.execute(self._sql["remove_bin"], {"id": bin_id})

        await self._write(write)

    async def clear_bin(self, bin_id: int) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            db.execute(self._sql["clear_bin"], {"bin_id": bin_id})

        await self._write(write)
