"""The real server in a separate process, on an empty database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hooktide.cli.demo.server import DemoServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DemoServer]:
    async with DemoServer(tmp_path) as running:
        yield running
