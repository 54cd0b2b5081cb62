"""``hooktide audit``: true of a database that has lived, and each check sees what it is for."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass

import apsw
import asyncpg
import pytest
from breakages import BREAKAGES
from livedkit import ENDED, PROJECT, Life, live
from storekit import Place

from hooktide.domain.backoff import Retry
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import DAY, Micros
from hooktide.domain.project import Plan
from hooktide.store.audit import CHECKS, Finding
from hooktide.store.postgres.audit import audit_postgres
from hooktide.store.sqlite.audit import audit_sqlite


@dataclass
class Lived:
    """A database in which everything has happened, as ``live`` leaves it."""

    life: Life
    place: Place

    async def audit(self, now: Micros = ENDED) -> dict[str, Finding]:
        if self.place.is_file:
            found = await asyncio.to_thread(lambda: list(audit_sqlite(self.place.url, now)))
        else:
            found = [finding async for finding in audit_postgres(self.place.url, now)]
        return {finding.check.name: finding for finding in found}

    async def broken(self, now: Micros = ENDED) -> list[str]:
        return [name for name, finding in (await self.audit(now)).items() if finding.broken]

    async def tamper(self, sql: str) -> None:
        """Change what no store would; endpoints and accounts go by their names, like ``:good``."""
        known = {name: endpoint.id for name, endpoint in self.life.endpoints.items()}
        for name, id_ in (known | self.life.accounts).items():
            sql = sql.replace(f":{name}", str(id_))
        for statement in sql.split(";"):
            assert await self._run(statement), statement

    async def _run(self, statement: str) -> bool:
        if self.place.is_file:
            db = apsw.Connection(self.place.url)
            db.execute(statement)
            changed = bool(db.changes()) or "PRAGMA" in statement
            db.close()
            return changed
        connection = await asyncpg.connect(self.place.url)
        try:
            return not (await connection.execute(statement)).endswith(" 0")
        finally:
            await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Not through a pooler: an audit has a connection of its own."""
    return str(request.param)


@pytest.fixture
async def lived(place: Place) -> AsyncIterator[Lived]:
    store = await place.open()
    yield Lived(await live(store), place)
    await store.close()


async def test_a_database_that_has_lived_breaks_nothing_and_every_check_looked(
    lived: Lived,
) -> None:
    found = await lived.audit()
    assert list(found) == [check.name for check in CHECKS]
    assert {name: finding.examples for name, finding in found.items() if finding.broken} == {}
    assert [name for name, finding in found.items() if not finding.looked_at] == []


async def test_what_an_earlier_configuration_allowed_is_not_held_against_a_database(
    lived: Lived,
) -> None:
    strict = dataclasses.replace(
        PROJECT,
        plans=(Plan(name="small", endpoints=0, deliveries_per_hour=0, retries=0),),
        retry=Retry(delays=(DAY,)),
        disable_after=1,
    )
    await lived.life.store.put_project(strict, ENDED)
    assert await lived.broken() == []


async def test_what_retention_has_dropped_is_not_missed(lived: Lived) -> None:
    later = ENDED + 31 * DAY
    await lived.life.publish(later - DAY, "invoice.sent")
    await lived.life.work(later - DAY, flaky=500)
    dropped = await lived.life.store.drop_old(later, 4)
    assert dropped == 4
    assert await lived.broken(later) == []
    while await lived.life.store.drop_old(later, 100):
        pass
    assert await lived.broken(later) == []


async def test_a_run_of_failures_is_known_of_an_endpoint_older_than_the_log_too(
    lived: Lived,
) -> None:
    unlimited = dataclasses.replace(PROJECT, plans=(Plan(name="small", retries=1),))
    await lived.life.store.put_project(unlimited, ENDED)
    later = ENDED + 31 * DAY
    await lived.life.publish(later, "invoice.sent")
    await lived.life.work(later)
    assert await lived.broken(later) == []
    table = "endpoints" if lived.place.is_file else "hooktide.endpoints"
    await lived.tamper(f"UPDATE {table} SET failing = 1 WHERE id = :flaky")
    assert await lived.broken(later) == ["failing"]


async def test_what_breaks_an_invariant_is_counted_and_the_first_few_are_named(
    lived: Lived,
) -> None:
    table = "deliveries" if lived.place.is_file else "hooktide.ended"
    await lived.tamper(f"UPDATE {table} SET state = 'lost' WHERE state = 'delivered'")
    found = (await lived.audit())["states"]
    assert found.broken > len(found.examples) == 5
    assert all(example.startswith("dlv_") for example in found.examples)


@pytest.mark.parametrize(
    ("number", "told"), [(0, "bring it up to date"), (99, "start the newer Hooktide")]
)
async def test_a_database_on_another_schema_is_not_looked_at(
    lived: Lived, number: int, told: str
) -> None:
    await lived.tamper(
        f"PRAGMA user_version = {number}"
        if lived.place.is_file
        else f"UPDATE hooktide.migrations SET number = {number}"
    )
    with pytest.raises(ConfigError, match=told):
        await lived.audit()


def test_every_check_has_a_way_to_break_it() -> None:
    assert list(dict.fromkeys(check for check, _, _ in BREAKAGES)) == [each.name for each in CHECKS]


@pytest.mark.parametrize(
    ("check", "in_sqlite", "in_postgres"),
    BREAKAGES,
    ids=[f"{check}-{number}" for number, (check, _, _) in enumerate(BREAKAGES)],
)
async def test_a_check_sees_what_it_is_for_and_no_other_does(
    lived: Lived, check: str, in_sqlite: str, in_postgres: str
) -> None:
    await lived.tamper(in_sqlite if lived.place.is_file else in_postgres)
    assert await lived.broken() == [check]
