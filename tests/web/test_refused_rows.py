"""Refused rows of ``hooktide.emitted`` in the dashboard: shown, tried again, discarded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from dashkit import Seat, seat
from postgreskit import database
from webkit import Site, running

from hooktide.domain.model import Role, Scope
from hooktide.web.pages.dashboard import refused_rows

INSERT = "INSERT INTO hooktide.emitted (project, account, type, payload) VALUES ($1, $2, $3, '{}')"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with database() as url:
        yield url


@pytest.fixture
async def site(tmp_path: Path, url: str) -> AsyncIterator[Site]:
    async with running(tmp_path, url) as site:
        await site.account()
        yield site


async def emit(url: str, project: str = "invoice-maker", type_: str = "no.such") -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(INSERT, project, "acme", type_)
    await connection.close()


async def rows(url: str) -> list[tuple[int, str]]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch("SELECT id, refused FROM hooktide.emitted ORDER BY id")
    await connection.close()
    return [tuple(each) for each in found]


async def refused(site: Site, count: int) -> list[int]:
    """Wait until there are this many refused rows, and return their ids, newest first."""
    async with asyncio.timeout(30):
        while True:
            page = await site.app.store.list_refused_rows(None, 50)
            if len(page.items) == count:
                return [each.id for each in page.items]
            await asyncio.sleep(0.02)


async def entries(site: Site) -> list[tuple[str, str]]:
    page = await site.app.store.list_audit_log(Scope(), None, 50)
    return [(each.action, each.target) for each in page.items if "emitted" in each.action]


async def test_a_refused_row_is_shown_with_its_reason_tried_again_and_discarded(
    site: Site, url: str
) -> None:
    owner = await seat(site, Role.OWNER)
    assert "There are no refused rows" in await owner.page("/dashboard/refused-rows")
    await emit(url)
    await emit(url, type_="<b>odd")
    second, first = await refused(site, 2)
    html = await owner.page("/dashboard/refused-rows")
    assert "no.such" in html
    assert "&lt;b&gt;odd" in html

    retried = await owner.post(f"/dashboard/refused-rows/{first}/retry")
    assert retried.status == 303
    assert await refused(site, 2) == [
        second,
        first,
    ]  # it was ingested again, and refused as before
    discarded = await owner.post(f"/dashboard/refused-rows/{second}/discard")
    assert discarded.status == 303
    assert [id_ for id_, _ in await rows(url)] == [first]
    assert await entries(site) == [
        ("emitted_row.discard", f"row {second}"),
        ("emitted_row.retry", f"row {first}"),
    ]
    discard = (await site.app.store.list_audit_log(Scope(), None, 1)).items[0]
    assert discard.before == {"project": "invoice-maker", "type": "<b>odd"}  # without customer data
    for path in (f"{second}/discard", f"{second}/retry", "x/retry", f"{10**18}/discard"):
        assert (await owner.post(f"/dashboard/refused-rows/{path}")).status == 404
    assert len(await entries(site)) == 2


async def test_rows_are_reached_whatever_ids_the_application_gives_them(
    site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_rows, "PAGE_SIZE", 1)
    ids = [1_300_000_000_000_000_000, 0, -5]
    connection = await asyncpg.connect(url)
    for id_ in ids:
        given = INSERT.replace("(project", "(id, project").replace("$1,", f"{id_}, $1,")
        await connection.execute(given, "invoice-maker", "acme", "no.such")
    await connection.close()
    assert await refused(site, 3) == ids
    owner = await seat(site, Role.OWNER)
    assert f">{ids[0]}</td>" in await owner.page("/dashboard/refused-rows")
    assert ">0</td>" in await owner.page(f"/dashboard/refused-rows?before={ids[0]}")
    assert ">-5</td>" in await owner.page("/dashboard/refused-rows?before=0")
    assert "There are no refused rows" in await owner.page("/dashboard/refused-rows?before=-5")
    for id_ in ids:
        assert (await owner.post(f"/dashboard/refused-rows/{id_}/discard")).status == 303
    assert await rows(url) == []
    for odd in (str(1 << 63), "--5", "1e3", "9" * 40):
        assert (await owner.post(f"/dashboard/refused-rows/{odd}/discard")).status == 404


async def test_only_those_who_see_all_projects_see_the_rows(site: Site, url: str) -> None:
    await emit(url)
    [row] = await refused(site, 1)
    member = await seat(site, Role.MEMBER, "invoice-maker")
    assert (await member.get("/dashboard/refused-rows")).status == 404
    for what in ("retry", "discard"):
        assert (await member.post(f"/dashboard/refused-rows/{row}/{what}")).status == 404
    viewer = await seat(site, Role.VIEWER)
    html = await viewer.page("/dashboard/refused-rows")
    assert "Discard" not in html
    assert (await viewer.post(f"/dashboard/refused-rows/{row}/discard")).status == 403
    assert len(await rows(url)) == 1


async def test_on_sqlite_there_is_none(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        owner: Seat = await seat(site, Role.OWNER)
        assert "There are no refused rows" in await owner.page("/dashboard/refused-rows")
        assert (await owner.post("/dashboard/refused-rows/1/retry")).status == 404
