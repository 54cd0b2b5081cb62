"""A server in a separate process, shared by the tests of a file."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from clientkit import Place, furnish
from serverkit import serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with serving(tmp_path_factory.mktemp("server")) as server:
        yield await furnish(server)
