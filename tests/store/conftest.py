"""A store with a project, an account and an endpoint in it: in SQLite, and in PostgreSQL.

Everything is held to its promises through a pooler, too: PgBouncer in transaction mode.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pgbouncer import program, shared_bouncer
from postgreskit import database
from storekit import Given, Place


@pytest.fixture(params=["sqlite", "postgres", "pgbouncer"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name the database; a module for one of them overrides this."""
    if request.param == "pgbouncer" and not program():
        pytest.skip("PgBouncer is not installed")
    return str(request.param)


@pytest.fixture
async def place(kind: str, tmp_path: Path) -> AsyncIterator[Place]:
    if kind == "sqlite":
        yield Place(str(tmp_path / "test.db"))
    else:
        async with database() as url:
            yield Place(pooled(url), direct=url) if kind == "pgbouncer" else Place(url)


def pooled(url: str) -> str:
    """Return where a database is through the pooler."""
    return shared_bouncer().url(url.rpartition("/")[2])


@pytest.fixture
async def given(place: Place) -> AsyncIterator[Given]:
    given = Given(place)
    await given.open()
    await given.begin()
    yield given
    await given.close()
