"""Each check of ``hooktide audit`` finds its violation, and nothing else."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from auditkit import Lived
from breakages import BREAKAGES
from livedkit import live
from postgreskit import database
from storekit import Place

from hooktide.store.maintenance.invariants import CHECKS


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def saved(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lived]:
    """A database with every kind of delivery, which no store has open."""
    async with database() as url:
        folder = tmp_path_factory.mktemp("lived")
        place = Place(url if request.param == "postgres" else str(folder / "lived.db"))
        store = await place.open()
        lived = Lived(await live(store), place)
        await store.close()
        await lived.save()
        yield lived


def test_every_check_has_a_way_to_break_it() -> None:
    broken = dict.fromkeys(name for check, _, _ in BREAKAGES for name in check.split())
    assert set(broken) == {each.name for each in CHECKS}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("check", "in_sqlite", "in_postgres"),
    BREAKAGES,
    ids=[f"{check}-{number}" for number, (check, _, _) in enumerate(BREAKAGES)],
)
async def test_a_check_sees_what_it_is_for_and_no_other_does(
    saved: Lived, check: str, in_sqlite: str, in_postgres: str
) -> None:
    await saved.put_back()
    await saved.tamper(in_sqlite if saved.place.is_file else in_postgres)
    assert await saved.broken() == check.split()
