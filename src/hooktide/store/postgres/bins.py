"""Request bins in PostgreSQL."""

from dataclasses import asdict

import asyncpg

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Bin, BinRequest, Micros
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.lists import conditions, page
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.part import Part

BINS_SPACE = 0x62696E73
"""Owners of bins are locked under this number; two that share a lock only wait."""


class Bins(Part):
    """The store's methods for bins and what they were sent."""

    async def add_bin(self, new: Bin, most: int) -> Bin:
        async def write(link: Link) -> Bin:
            await self._check_room(link, new, most)
            values = {**asdict(new), "id": self._ids(new.created_at)}
            await link.run(self._sql["add_bin"], values)
            return await self._bin(link, new.token, new.created_at)

        return await self._write(write)

    async def _check_room(self, link: Link, new: Bin, most: int) -> None:
        values = {
            "project_id": new.project_id,
            "account_id": new.account_id,
            "now": new.created_at,
        }
        owner = new.account_id or new.project_id or 0
        await link.rows(self._sql["lock"], {"space": BINS_SPACE, "number": owner % (1 << 31)})
        live = await link.value(self._sql["count_bins"], values)
        refusals.check_bins(live, most)

    async def get_bin(self, token: str, now: Micros) -> Bin:
        return await self._read(lambda link: self._bin(link, token, now))

    async def _bin(self, link: Link, token: str, now: Micros) -> Bin:
        values = {"token": token, "now": now}
        return rows.bin_(await self._one(link, "bin", self._sql["get_bin"], values))

    async def change_bin(self, token: str, script: str, now: Micros) -> Bin:
        async def write(link: Link) -> Bin:
            await self._bin(link, token, now)
            await link.run(self._sql["change_bin"], {"token": token, "script": script})
            return await self._bin(link, token, now)

        return await self._write(write)

    async def add_bin_request(self, request: BinRequest, keep: int) -> BinRequest:
        async def write(link: Link) -> BinRequest:
            id_ = self._ids(request.received_at)
            values = {
                **asdict(request),
                "id": id_,
                "headers": rows.json_text(request.headers),
            }
            try:
                await link.run(self._sql["add_bin_request"], values)
            except asyncpg.ForeignKeyViolationError:
                raise NotFoundError("bin") from None
            await link.run(self._sql["trim_bin"], {"bin_id": request.bin_id, "keep": keep})
            return await self._bin_request(link, request.bin_id, id_)

        return await self._write(write)

    async def _bin_request(self, link: Link, bin_id: int, request_id: int) -> BinRequest:
        sql = self._sql["bin_requests"] + " WHERE bin_id = :bin_id AND id = :id"
        values = {"bin_id": bin_id, "id": request_id}
        return rows.bin_request(await self._one(link, "request", sql, values))

    async def get_bin_request(self, bin_id: int, request_id: int) -> BinRequest:
        return await self._read(lambda link: self._bin_request(link, bin_id, request_id))

    async def list_bin_requests(self, bin_id: int, before: int | None, limit: int) -> Page:
        wanted = [("bin_id = :bin_id", "bin_id", bin_id), ("id < :before", "before", before)]
        where, values = conditions(wanted)
        sql = self._sql["bin_requests"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.bin_request)

    async def remove_bin(self, bin_id: int) -> None:
        async def write(link: Link) -> None:
            await link.run(self._sql["remove_bin"], {"id": bin_id})

        await self._write(write)

    async def clear_bin(self, bin_id: int) -> None:
        async def write(link: Link) -> None:
            await link.run(self._sql["clear_bin"], {"bin_id": bin_id})

        await self._write(write)
