"""The application in this process: one of a test's own, or one that only-reading tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from postgreskit import database
from webkit import Client, Site, running


@pytest.fixture(params=["sqlite", "postgres"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """An application of the test's own: on each database, for the API promises the same on both."""
    if request.param == "sqlite":
        async with running(tmp_path) as site:
            yield site
    else:
        async with database() as url, running(tmp_path, url) as site:
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
