"""The application in this process: one of a test's own, or one that only-reading tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from webkit import Client, Site, running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
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
