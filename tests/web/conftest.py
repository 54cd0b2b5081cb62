"""The application in this process: one per test, or one that read-only tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from postgreskit import database
from webkit import Client, Site, running

from hooktide.runtime.clock import wall_clock


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that are marked for both databases on PostgreSQL too."""
    both = metafunc.definition.get_closest_marker("both_databases")
    if both and "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Return the kind of database that the test's application uses.

    It is SQLite unless the test is marked ``both_databases``. Mark tests whose result depends on
    the database (rows that are written and read back, time ranges, cascades, counts, concurrent
    requests), and at least one test of each operation. Requests that are rejected before a query,
    and how objects are rendered, do not depend on it; the store tests cover the rest.
    """
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
async def site(kind: str, tmp_path: Path) -> AsyncIterator[Site]:
    """An application for one test."""
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
    """An application with the account ``acme``, for files whose tests change nothing."""
    async with running(tmp_path_factory.mktemp("web")) as site:
        await site.account()
        yield site
