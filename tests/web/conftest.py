"""The application in this process: one of a test's own, or one that only-reading tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from postgreskit import database
from webkit import Client, Site, running

from hooktide.runtime.clock import wall_clock


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on PostgreSQL, too, what is marked for both databases."""
    both = metafunc.definition.get_closest_marker("both_databases")
    if both and "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Name the database of the test's application.

    It is SQLite unless the test is marked ``both_databases``: those whose answers depend on what
    the database does (rows that are written and read back, spans, cascades, counts, requests at
    once, and each operation at least once). What is refused before the database is asked, and how
    a thing is shown, is the same on both, as the tests of the store promise.
    """
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
async def site(kind: str, tmp_path: Path) -> AsyncIterator[Site]:
    """An application of the test's own."""
    if kind == "sqlite":
        async with running(tmp_path) as site:
            yield site
    else:
        async with database(at=wall_clock()) as url, running(tmp_path, url) as site:
            yield site


@pytest.fixture
def operator(site: Site) -> Client:
    return site.operator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """For files whose tests only ask, or are refused: it has the account ``acme``."""
    async with running(tmp_path_factory.mktemp("web")) as site:
        await site.account()
        yield site
