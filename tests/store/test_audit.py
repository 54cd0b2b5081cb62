"""``hooktide audit``: what it says of a database that has lived is true."""

import dataclasses
from collections.abc import AsyncIterator

import msgspec
import pytest
from auditkit import Lived
from livedkit import ENDED, PROJECT, live, made
from storekit import Place

from hooktide.domain.backoff import Retry
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import DAY, HOUR, Scope
from hooktide.domain.project import Plan
from hooktide.domain.verdict import Gone
from hooktide.store.audit import CHECKS


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


async def test_an_endpoint_that_a_chat_said_is_gone_breaks_nothing(lived: Lived) -> None:
    life, later = lived.life, ENDED + HOUR
    await life.publish(later, "quiet.one", "quiet.two")
    for claim in await life.claim(later, "quiet"):
        done = made(claim, later, 404)
        life.store.record(msgspec.structs.replace(done, verdict=Gone("Slack says no_service")))
    await life.store.recorded()
    found = await life.store.get_endpoint(Scope(), life.endpoints["quiet"].id)
    assert (found.disabled_reason, found.failing) == ("Slack says no_service", 0)
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
        else f"UPDATE hooktide.migrations SET number = {number} WHERE number = "
        "(SELECT max(number) FROM hooktide.migrations)"
    )
    with pytest.raises(ConfigError, match=told):
        await lived.audit()
