"""When the clock is set, leases keep their length, plans' hours end, and order is kept."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, DeliveryState, Micros, Scope
from hooktide.runtime.clock import StoreClock
from hooktide.store.base import Capacity

pytestmark = pytest.mark.pooled


@dataclass
class Machine:
    """A machine's two clocks. A test sets the wall clock."""

    wall: Micros = NOON
    up: Micros = HOUR

    def live(self, span: Micros) -> None:
        self.wall += span
        self.up += span


@pytest.fixture
def machine(given: Given) -> Machine:
    """Return the machine whose clocks the store uses."""
    made = Machine()
    store: Any = given.store
    store.clock = StoreClock(lambda: made.wall, lambda: made.up)
    return made


@pytest.mark.parametrize("leap", [-DAY, DAY])
async def test_setting_the_clock_ends_no_lease(
    given: Given, machine: Machine, leap: Micros
) -> None:
    await given.publish()
    assert len(await given.claim()) == 1
    machine.wall += leap
    machine.live(30 * SECOND)
    assert await given.claim(machine.wall) == []
    assert await given.store.release_expired_claims(machine.wall, 10) == 0
    machine.live(LEASE)
    assert len(await given.claim(machine.wall)) == 1


@pytest.mark.parametrize("leap", [-DAY, DAY])
async def test_a_claim_made_after_the_clock_was_set_lasts_as_long(
    given: Given, machine: Machine, leap: Micros
) -> None:
    given.hand.takes = 1
    machine.wall += leap
    await given.publish(now=machine.wall)
    given.hand.takes = 0
    await given.publish(now=machine.wall)
    assert len(await given.claim(machine.wall)) == 1
    assert len(given.hand.claims) == 1
    machine.live(LEASE - MINUTE // 5)
    assert await given.claim(machine.wall) == []
    machine.live(MINUTE)
    assert len(await given.claim(machine.wall)) == 2


@pytest.mark.parametrize("leap", [-DAY, DAY])
async def test_a_claim_lasts_as_long_if_the_clock_is_set_while_it_is_made(
    given: Given, leap: Micros
) -> None:
    await given.publish()
    store: Any = given.store
    reads = itertools.count()
    # The constructor reads the wall clock once, and each shift once: it leaps after the first.
    store.clock = StoreClock(lambda: NOON if next(reads) < 2 else NOON + leap, lambda: HOUR)
    [claim] = await given.claim(NOON)
    assert claim.lease_ends_at == NOON + LEASE


def leap_before_the_write(given: Given, machine: Machine, leap: Micros) -> None:
    """Set the clock between the call of a method and its transaction."""
    store: Any = given.store
    write = store._write

    async def leaping(*args: Any) -> Any:
        machine.wall += leap
        return await write(*args)

    store._write = leaping


@pytest.mark.parametrize("leap", [-DAY, DAY])
async def test_a_claim_of_an_event_lasts_as_long_if_the_clock_is_set_before_it_is_written(
    given: Given, machine: Machine, monkeypatch: pytest.MonkeyPatch, leap: Micros
) -> None:
    given.hand.takes = 1
    capacity = given.hand.capacity

    def leaping() -> Capacity:
        machine.wall = NOON + leap
        return capacity()

    monkeypatch.setattr(given.hand, "capacity", leaping)
    await given.publish()
    assert [claim.lease_ends_at for claim in given.hand.claims] == [NOON + LEASE]


@pytest.mark.parametrize("leap", [-DAY, DAY])
async def test_a_claim_of_a_test_lasts_as_long_if_the_clock_is_set_before_it_is_written(
    given: Given, machine: Machine, leap: Micros
) -> None:
    leap_before_the_write(given, machine, leap)
    claim = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    assert claim.lease_ends_at == NOON + LEASE


async def test_no_lease_ends_early_if_the_clock_is_set_back_before_expired_ones_are_released(
    given: Given, machine: Machine
) -> None:
    await given.publish()
    assert len(await given.claim()) == 1
    machine.live(30 * SECOND)
    now = machine.wall
    leap_before_the_write(given, machine, -DAY)
    assert await given.store.release_expired_claims(now, 10) == 0


async def test_an_hour_used_up_by_a_clock_that_was_ahead_ends_an_hour_after_the_correction(
    given: Given,
) -> None:
    await given.set_plan(endpoints=None, deliveries_per_hour=2)
    ahead = NOON + 3 * HOUR
    await given.publish(given.event(), given.event(), given.event(), now=ahead)
    [held] = (await given.store.list_deliveries(Scope(), None, 10, state=DeliveryState.HELD)).items
    assert await given.store.unhold(NOON, 10) == 0
    assert await given.store.unhold(NOON + HOUR, 10) == 0
    assert await given.store.unhold(NOON + HOUR + 2 * MINUTE, 10) == 1
    assert (await given.store.get_delivery(Scope(), held.id)).state is DeliveryState.PENDING
