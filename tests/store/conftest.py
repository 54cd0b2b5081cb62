"""A store with a project, an account and an endpoint, on SQLite and on PostgreSQL.

Tests that are marked ``pooled`` also run through PgBouncer in transaction mode. Mark tests of
claims, leases, locks, notifications and concurrency, and one test of each statement.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pgbouncer import program, shared_bouncer
from postgreskit import database
from storekit import NOON, Given, Place


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each database, unless it or its module selects one."""
    if "each_kind" in metafunc.fixturenames:
        pooled = metafunc.definition.get_closest_marker("pooled")
        metafunc.parametrize(
            "each_kind", ["sqlite", "postgres", *(["pgbouncer"] if pooled else [])]
        )


@pytest.fixture
def kind(each_kind: str) -> str:
    """Return the kind of database. A module for one of them overrides this."""
    return each_kind


@pytest.fixture
async def place(kind: str, tmp_path: Path) -> AsyncIterator[Place]:
    if kind == "pgbouncer" and not program():
        pytest.skip("PgBouncer is not installed")
    if kind == "sqlite":
        yield Place(str(tmp_path / "test.db"))
    else:
        async with database(at=NOON) as url:
            yield Place(pooled(url), direct=url) if kind == "pgbouncer" else Place(url)


def pooled(url: str) -> str:
    """Return a database's URL through the pooler."""
    return shared_bouncer().url(url.rpartition("/")[2])


@pytest.fixture
async def given(place: Place) -> AsyncIterator[Given]:
    given = Given(place)
    await given.open()
    await given.begin()
    yield given
    await given.close()
