"""``hooktide audit`` is correct for databases with a long history."""

import dataclasses
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest
from auditkit import Lived
from livedkit import ENDED, PROJECT, Life, live, made
from storekit import Place

from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.delivery.verdict import Gone
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import DAY, HOUR, MINUTE, Endpoint, Micros, Scope
from hooktide.domain.project.project import Plan
from hooktide.engine.periodic.redating import Redating
from hooktide.store.directory import Directory
from hooktide.store.maintenance.invariants import CHECKS


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Not through a pooler: an audit has a dedicated connection."""
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
        plans=tuple(
            Plan(name=name, endpoints=0, deliveries_per_hour=0, retries=0)
            for name in ("small", "large")
        ),
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
    assert (found.disabled_reason, found.consecutive_failures) == ("Slack says no_service", 0)
    assert await lived.broken(later) == []


async def test_a_run_of_failures_is_known_of_an_endpoint_older_than_the_log_too(
    lived: Lived,
) -> None:
    plans = tuple(Plan(name=name, retries=1) for name in ("small", "large"))
    unlimited = dataclasses.replace(PROJECT, plans=plans)
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


async def test_what_a_clock_that_was_set_back_confuses_is_not_held_against_a_database(
    lived: Lived,
) -> None:
    """Rows from before the clock was set back may have later timestamps than newer rows."""
    life, was = lived.life, ENDED + 3 * HOUR
    await life.publish(was, "invoice.sent")
    await life.work(was, flaky=500)
    await notices_its_clock(life, was - 2 * MINUTE)
    await life.work(was - MINUTE, flaky=500)
    wall = was - HOUR
    await notices_its_clock(life, wall)
    good, flaky, quiet = (life.endpoints[name].id for name in ("good", "flaky", "quiet"))
    for id_, types in ((flaky, ("contact.created",)), (quiet, ("*",))):
        await life.store.update_endpoint(Scope(), id_, partial(_wants, types), wall + MINUTE)
    await life.store.disable_endpoint(Scope(), good, "asked for", wall + MINUTE)
    assert await lived.broken(wall + 2 * MINUTE) == []
    caught_up = was + HOUR
    assert await lived.broken(caught_up) == []
    await life.publish(caught_up, "contact.created")
    await life.work(caught_up)
    assert await lived.broken(caught_up) == []


def _wants(types: tuple[str, ...], _: Endpoint) -> dict[str, Any]:
    return {"event_types": types}


async def notices_its_clock(life: Life, wall: Micros) -> None:
    """Start a worker whose clock shows ``wall``."""
    redating = Redating(life.store, Directory(life.store), lambda: wall, lambda: wall)
    while await redating.run():
        pass


async def test_what_came_after_the_clock_had_caught_up_is_looked_at(lived: Lived) -> None:
    life, was = lived.life, ENDED + 3 * HOUR
    await life.publish(was, "contact.created")
    await notices_its_clock(life, was - HOUR)
    later = was + HOUR
    await life.publish(later, "invoice.sent")
    await life.work(later)
    assert await lived.broken(later) == []
    events = "events" if lived.place.is_file else "hooktide.events"
    await lived.tamper(f"UPDATE {events} SET type = 'contact.created' WHERE type = 'invoice.sent'")
    assert await lived.broken(later) == ["unwanted"]


async def test_what_a_clock_far_ahead_leaves_unknown_is_not_called_right(lived: Lived) -> None:
    life = lived.life
    ahead = "hooktide.clock_mark" if not lived.place.is_file else "clock_mark"
    names = ("leases", "rests", "failing", "auto_disable")
    await life.publish(ENDED, "invoice.sent")
    before = await lived.audit(ENDED)
    assert all(before[name].looked_at for name in names if name != "rests")
    await lived.tamper(f"UPDATE {ahead} SET set_back_from = {ENDED + 40 * DAY}")
    found = await lived.audit(ENDED)
    assert {name: (found[name].looked_at, found[name].broken) for name in names} == dict.fromkeys(
        names, (0, 0)
    )
