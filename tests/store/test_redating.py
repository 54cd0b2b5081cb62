"""After a clock was set back, no retry waits for longer than its own delay or its Retry-After."""

import dataclasses
import itertools
from dataclasses import dataclass

import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import RetryAt
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Delivery, Micros, Scope
from hooktide.engine.periodic import redating
from hooktide.engine.periodic.redating import Redating
from hooktide.store.directory import Directory

DELAY = 10 * MINUTE


@dataclass
class Machine:
    """A server's machine: its wall clock and its uptime."""

    wall: Micros = NOON
    up: Micros = HOUR
    redated: int = 0

    def start(self, given: Given) -> Redating:
        self.redated = 0
        return Redating(
            given.store, Directory(given.store), lambda: self.wall, lambda: self.up, self.count
        )

    def count(self, redated: int) -> None:
        self.redated += redated

    def live(self, span: Micros) -> None:
        self.wall += span
        self.up += span


@pytest.fixture
async def machine(given: Given) -> Machine:
    await given.set_plan(endpoints=None, deliveries_per_hour=None, retries=2)
    row = await given.store.get_project_by_id(given.project_id)
    retry = Retry(delays=(DELAY, 2 * HOUR))
    await given.store.put_project(dataclasses.replace(row.project, retry=retry), NOON)
    return Machine()


async def waiting(given: Given, due_at: Micros, at: Micros = NOON, head: bytes = b"") -> int:
    """Return the id of a delivery that failed once and is due at ``due_at``."""
    [accepted] = await given.publish(now=at)
    [claim] = [one for one in await given.claim(at) if one.event.id == accepted.event_id]
    await given.record(claim, RetryAt(due_at), 500, at, head=head)
    await given.store.recorded()
    return claim.delivery_id


async def run(redating: Redating) -> None:
    while await redating.run():
        pass


async def due(given: Given, delivery_id: int) -> Micros | None:
    found: Delivery = await given.store.get_delivery(Scope(), delivery_id)
    return found.due_at


async def test_a_retry_dated_by_a_clock_that_was_ahead_is_due_within_its_delay(
    given: Given, machine: Machine
) -> None:
    id_ = await waiting(given, NOON + 3 * DAY + DELAY, at=NOON + 3 * DAY)
    started = machine.start(given)
    await run(started)
    assert await due(given, id_) == NOON + DELAY
    assert machine.redated == 1
    assert given.hand.hints[given.endpoint.id] == NOON + DELAY


async def test_what_is_due_as_it_should_be_stays(given: Given, machine: Machine) -> None:
    late = await waiting(given, NOON + DELAY + DELAY // 10)
    early = await waiting(given, NOON + SECOND)
    started = machine.start(given)
    await run(started)
    assert await due(given, late) == NOON + DELAY + DELAY // 10
    assert await due(given, early) == NOON + SECOND
    assert machine.redated == 0


async def test_a_retry_after_may_be_longer_than_the_delay(given: Given, machine: Machine) -> None:
    head = b"HTTP/1.1 500 Sorry\r\nRetry-After: 7200\r\n\r\n"
    asked = await waiting(given, NOON + 2 * HOUR, head=head)
    ahead = await waiting(given, NOON + 2 * HOUR + SECOND, head=head)
    further = await waiting(given, NOON + 3 * DAY, head=head)
    await run(machine.start(given))
    assert await due(given, asked) == NOON + 2 * HOUR
    assert await due(given, ahead) == NOON + 2 * HOUR
    assert await due(given, further) == NOON + 2 * HOUR


async def test_a_first_attempt_that_waits_for_a_future_clock_is_due_now(
    given: Given, machine: Machine
) -> None:
    await given.publish(now=NOON + 3 * DAY)
    started = machine.start(given)
    await run(started)
    assert machine.redated == 1
    assert len(await given.claim(NOON)) == 1


@pytest.mark.pooled
async def test_a_clock_set_back_while_running_is_followed(given: Given, machine: Machine) -> None:
    machine.wall += 3 * DAY
    started = machine.start(given)
    id_ = await waiting(given, machine.wall + DELAY, at=machine.wall)
    await run(started)
    machine.live(SECOND)
    await run(started)
    assert machine.redated == 0
    machine.wall -= 3 * DAY
    await run(started)
    assert await due(given, id_) == machine.wall + DELAY


async def test_shortened_delays_move_what_waits_and_the_log_says_why(
    given: Given, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await waiting(given, NOON + DELAY)
    row = await given.store.get_project_by_id(given.project_id)
    shorter = dataclasses.replace(row.project, retry=Retry(delays=(MINUTE, MINUTE)))
    await given.store.put_project(shorter, NOON)
    await run(machine.start(given))
    assert await due(given, id_) == NOON + MINUTE
    assert "moved 1 waiting delivery to an earlier time" in caplog.text
    assert "the project's retry delays were shortened" in caplog.text


async def test_deliveries_in_flight_when_the_clock_was_set_back_are_checked_afterwards(
    given: Given, machine: Machine
) -> None:
    started = machine.start(given)
    await run(started)
    machine.wall -= 3 * DAY
    await run(started)
    id_ = await waiting(given, NOON + DELAY)  # judged by the clock before it was set
    await run(started)
    assert await due(given, id_) == NOON + DELAY
    machine.live(SECOND)
    await run(started)
    assert await due(given, id_) == machine.wall + DELAY


@pytest.mark.parametrize("after", [*redating.RECHECK_DELAYS, 2 * LEASE])
async def test_what_is_recorded_later_still_is_dated_again_at_the_next_look(
    given: Given, machine: Machine, after: Micros
) -> None:
    started = machine.start(given)
    machine.wall -= 3 * DAY
    await run(started)
    machine.live(after - 1)
    await run(started)
    id_ = await waiting(given, NOON + DELAY)
    await run(started)
    assert await due(given, id_) == NOON + DELAY
    machine.live(1)
    await run(started)
    assert await due(given, id_) == machine.wall + DELAY


async def test_only_the_last_look_reads_what_no_clock_of_before_the_step_has_dated(
    given: Given, machine: Machine
) -> None:
    started = machine.start(given)
    await waiting(given, NOON - 3 * DAY + DELAY, at=NOON - 3 * DAY)
    machine.wall -= 3 * DAY
    assert await started.run() == 1
    for earlier, later in itertools.pairwise((0, *redating.RECHECK_DELAYS)):
        machine.live(later - earlier)
        assert await started.run() == 0
    machine.live(2 * LEASE - redating.RECHECK_DELAYS[-1])
    assert await started.run() == 1
    machine.live(2 * LEASE)
    assert await started.run() == 0


async def test_a_retry_keeps_its_time_when_its_plan_has_fewer_retries_by_now(
    given: Given, machine: Machine
) -> None:
    id_ = await waiting(given, NOON + DELAY)
    [claim] = await given.claim(NOON + DELAY)
    due_at = NOON + DELAY + 2 * HOUR
    await given.record(claim, RetryAt(due_at), 500, NOON + DELAY)
    row = await given.store.get_project_by_id(given.project_id)
    fewer = tuple(dataclasses.replace(plan, retries=1) for plan in row.project.plans)
    await given.store.put_project(dataclasses.replace(row.project, plans=fewer), NOON)
    machine.live(DELAY)
    await run(machine.start(given))
    assert await due(given, id_) == due_at


@pytest.mark.pooled
async def test_more_than_a_page_is_looked_through(
    given: Given, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redating, "PAGE", 3)
    await given.publish(*[given.event()] * 5, now=NOON + 3 * DAY)
    await given.another_account("https://other.example.com/hook")
    started = machine.start(given)
    await run(started)
    assert machine.redated == 5
    assert len(await given.claim(NOON)) == 5


async def test_what_waits_for_a_deleted_endpoint_does_not_keep_others_from_being_corrected(
    given: Given, machine: Machine
) -> None:
    await waiting(given, NOON + 3 * DAY + DELAY, at=NOON + 3 * DAY)
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON)
    given.endpoint = await given.create_endpoint()
    id_ = await waiting(given, NOON + 3 * DAY + DELAY, at=NOON + 3 * DAY)
    await run(machine.start(given))
    assert await due(given, id_) == NOON + DELAY


async def test_what_is_claimed_meanwhile_keeps_its_lease(given: Given, machine: Machine) -> None:
    await given.publish(now=NOON + 3 * DAY)
    [found] = await given.store.waiting_after(NOON, (0, 0, 0), 10)
    [claim] = await given.claim(NOON + 3 * DAY)
    assert await given.store.redate({(found.delivery_id, found.due_at): NOON}) == 0
    assert await due(given, claim.delivery_id) == claim.lease_ends_at


@pytest.mark.pooled
async def test_a_rest_that_began_by_a_clock_that_was_ahead_lasts_as_long_from_now_on(
    given: Given, machine: Machine
) -> None:
    ahead = NOON + 3 * DAY
    await given.publish(now=ahead)
    [claim] = await given.claim(ahead)
    await given.record(claim, RetryAt(ahead + DELAY), 429, ahead, rest=RestRequest(429, HOUR))
    await run(machine.start(given))
    assert await given.store.resting(NOON) == {given.endpoint.id: NOON + HOUR}
    assert ("rest", given.endpoint.id) in given.hand.changes


async def test_a_rest_that_began_before_stays_as_it_is(given: Given, machine: Machine) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(NOON + DELAY), 429, rest=RestRequest(429, HOUR))
    before = await given.store.resting(NOON)
    await run(machine.start(given))
    assert await given.store.resting(NOON) == before
    assert len(before) == 1


async def test_a_rest_that_was_dated_again_is_what_the_next_one_is_compared_with(
    given: Given, machine: Machine
) -> None:
    ahead = NOON + 3 * DAY
    await given.publish(given.event(), given.event(), now=ahead)
    first, second = await given.claim(ahead)
    await given.record(first, RetryAt(ahead + DELAY), 429, ahead, rest=RestRequest(429, HOUR))
    await run(machine.start(given))
    longer = RestRequest(429, 2 * HOUR)
    await given.record(second, RetryAt(NOON + DELAY), 429, NOON, rest=longer)
    [until] = (await given.store.resting(NOON)).values()
    assert until == NOON + 2 * HOUR + 5000


async def test_a_rest_is_kept_after_another_was_lifted_by_a_clock_that_was_ahead(
    given: Given, machine: Machine
) -> None:
    await given.store.resume_endpoint(Scope(), given.endpoint.id, NOON + 3 * DAY)
    await run(machine.start(given))
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(NOON + DELAY), 429, rest=RestRequest(429, HOUR))
    assert await given.store.resting(NOON) == {given.endpoint.id: NOON + HOUR + 5000}
