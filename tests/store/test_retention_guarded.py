"""Retention deletes nothing if the clock is wrong, unless an operator confirms the clock."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from storekit import NOON, Given

from hooktide.domain.audit_log import Action, Actor, Source
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import made_at
from hooktide.domain.model import DAY, HOUR, MINUTE, Micros, Scope
from hooktide.domain.time.retention import HOLD_TIMEOUT
from hooktide.engine.periodic.retention import Retention
from hooktide.store.postgres.maintenance.accept_clock import accept_clock_in_postgres
from hooktide.store.sqlite.maintenance.accept_clock import accept_clock_in_sqlite

LATER = 40 * DAY
"""Past the retention of the project that these tests have, which is 30 days."""


@dataclass
class Machine:
    """A server's machine: its wall clock and its uptime."""

    wall: Micros = NOON
    up: Micros = HOUR

    def start(self, given: Given) -> Retention:
        return Retention(given.store, lambda: self.wall, lambda: self.up)

    def live(self, span: Micros) -> None:
        self.wall += span
        self.up += span


@pytest.fixture
async def machine(given: Given) -> Machine:
    given.endpoint = await given.store.update_endpoint(
        Scope(), given.endpoint.id, lambda _: {"event_types": ("invoice.paid",)}, NOON
    )
    await given.store.trust_clock(NOON)
    return Machine()


async def delivered(given: Given) -> int:
    """Return the id of an event without pending deliveries, which retention may delete."""
    [accepted] = await given.publish(given.event("other.type"))
    return accepted.event_id


async def is_there(given: Given, event_id: int) -> bool:
    try:
        await given.store.get_event(Scope(), event_id)
    except NotFoundError:
        return False
    return True


def accepted(now: Micros) -> Action:
    ann = Actor(name="ann", source=Source.COMMAND_LINE)
    return ann.does("clock.accept", detail=f"it is {now}")


async def run(retention: Retention) -> None:
    while await retention.drop_old(100):
        pass


async def test_one_start_with_a_clock_that_is_ahead_deletes_nothing(
    given: Given, machine: Machine
) -> None:
    event_id = await delivered(given)
    machine.wall += LATER
    retention = machine.start(given)
    for _ in range(23):
        await run(retention)
        machine.live(HOUR)
    assert await is_there(given, event_id)
    assert retention.paused


async def test_a_second_start_with_the_same_wrong_clock_deletes_nothing_either(
    given: Given, machine: Machine
) -> None:
    event_id = await delivered(given)
    machine.wall += LATER
    await run(machine.start(given))
    await given.publish(now=machine.wall)  # the event's id contains the wrong clock's time
    retention = machine.start(given)
    machine.live(2 * HOUR)
    await run(retention)
    assert await is_there(given, event_id)


async def test_a_clock_set_ahead_while_running_deletes_nothing(
    given: Given, machine: Machine
) -> None:
    event_id = await delivered(given)
    retention = machine.start(given)
    for _ in range(3):
        machine.live(HOUR)
        await run(retention)
    machine.wall += LATER
    await run(retention)
    assert await is_there(given, event_id)
    assert retention.paused
    machine.wall -= LATER
    await run(retention)
    assert not retention.paused


@pytest.mark.pooled
async def test_what_is_past_its_time_is_deleted_as_time_passes(
    given: Given, machine: Machine
) -> None:
    event_id = await delivered(given)
    retention = machine.start(given)
    for _ in range(41):
        machine.live(DAY)
        await run(retention)
    assert not await is_there(given, event_id)


async def test_a_clock_that_stays_ahead_for_a_day_is_gone_by_again(
    given: Given, machine: Machine
) -> None:
    event_id = await delivered(given)
    machine.wall += LATER
    retention = machine.start(given)
    await run(retention)
    machine.live(HOLD_TIMEOUT)
    await run(retention)
    assert not await is_there(given, event_id)


@pytest.mark.pooled
async def test_a_confirmed_clock_is_gone_by_at_once(given: Given, machine: Machine) -> None:
    event_id = await delivered(given)
    retention = machine.start(given)
    await run(retention)
    if given.place.is_file:
        machine.wall += LATER
        accept_clock_in_sqlite(given.place.url, machine.wall, accepted(machine.wall))
    else:  # the database's own clock, which is months past this test's noon
        url = given.place.direct or given.place.url
        machine.wall = await accept_clock_in_postgres(url, accepted)
    found = await given.store.list_audit_log(Scope(), None, 10)
    [line] = [each for each in found.items if each.action == "clock.accept"]
    assert (line.actor, line.source, line.detail) == (
        "ann",
        "command_line",
        f"it is {machine.wall}",
    )
    assert abs(made_at(line.id) - machine.wall) < MINUTE
    machine.up += MINUTE
    await run(retention)
    assert not retention.paused
    assert not await is_there(given, event_id)


async def test_a_rotated_secret_is_kept_while_the_clock_is_not_trusted(
    given: Given, machine: Machine
) -> None:
    await given.store.rotate_secret(
        Scope(), given.endpoint.id, given.endpoint.secrets[0].secret, DAY, NOON
    )
    machine.wall += LATER
    assert await machine.start(given).retire_secrets() == 0
    machine.wall = NOON + DAY
    assert await machine.start(given).retire_secrets() == 1


async def test_a_clock_that_is_ahead_erases_no_payload(given: Given, machine: Machine) -> None:
    [accepted] = await given.publish(replace(given.event("other.type"), retention_days=5))
    retention = machine.start(given)
    machine.live(2 * HOUR)
    machine.wall += 10 * DAY
    await run(retention)
    assert retention.paused
    machine.live(HOLD_TIMEOUT - HOUR)
    await run(retention)
    assert not await is_erased(given, accepted.event_id)
    machine.live(HOUR)
    await run(retention)
    assert await is_erased(given, accepted.event_id)


async def is_erased(given: Given, event_id: int) -> bool:
    row = await given.store.get_event(Scope(), event_id)
    return row.event.erased_at is not None


async def test_payloads_are_erased_in_batches(given: Given, machine: Machine) -> None:
    events = [replace(given.event("other.type"), retention_days=5) for _ in range(5)]
    ids = [each.event_id for each in await given.publish(*events)]
    store = given.store
    due = NOON + 5 * DAY + HOUR
    assert [await store.erase_expired_payloads(due, 2) for _ in range(4)] == [2, 2, 1, 0]
    left = await store.events_of(Scope(), ids)
    assert all(row.event.erased_at is not None for row in left.values())


async def test_an_event_that_was_dropped_earlier_is_no_longer_due(
    given: Given, machine: Machine
) -> None:
    [accepted] = await given.publish(replace(given.event("other.type"), retention_days=30))
    await given.store.drop_old(NOON + 31 * DAY, 100)
    assert not await is_there(given, accepted.event_id)
    assert await given.store.erase_expired_payloads(NOON + 31 * DAY, 100) == 1
    assert await given.store.erase_expired_payloads(NOON + 31 * DAY, 100) == 0
