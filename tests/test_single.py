"""A single server process whose database is unavailable at the start."""

import asyncio

import pytest

from hooktide.app import FirstStart, Lifecycle, opening
from hooktide.app.processes import single
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.runtime.settings import Settings


@pytest.mark.parametrize("error", [ConfigError("not this one", key="database"), KeyError("a bug")])
async def test_what_will_not_open_the_database_at_last_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(opening, "RETRY_DELAY", 0.0)
    coming = iter([UnavailableError("away"), UnavailableError("away"), error])

    async def begin() -> tuple[Lifecycle, FirstStart]:
        raise next(coming)

    settings = Settings(listen="127.0.0.1:0")
    process = single.Process(settings, single.listen(settings), begin, begun=lambda app, made: None)
    async with asyncio.timeout(30):
        with pytest.raises(type(error)):
            await process.run()
