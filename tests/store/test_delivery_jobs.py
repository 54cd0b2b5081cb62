"""What every store promises about jobs on deliveries: each once, none left out."""

import pytest
from storekit import NOON, Given

from hooktide.actions.deliveries.delivery_jobs import DeliveryJobs, JobCount
from hooktide.actions.deliveries.delivery_log import DeliveryFilter, DeliveryLog
from hooktide.domain.audit_log import SERVER
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.http.headers import MASK
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    Delivery,
    DeliveryJob,
    DeliveryState,
    JobAct,
    JobState,
    Origin,
    Scope,
)

LATER = NOON + HOUR
EVERYTHING = DeliveryFilter()
FAILED = DeliveryFilter(state=DeliveryState.FAILED)


def jobs(given: Given, now: int = LATER) -> DeliveryJobs:
    return DeliveryJobs(given.store, DeliveryLog(given.store), lambda: now)


async def start(given: Given, act: JobAct, wanted: DeliveryFilter = EVERYTHING) -> DeliveryJob:
    return await jobs(given).start(SERVER, Scope(), act, wanted)


async def collected(given: Given, job: DeliveryJob) -> DeliveryJob:
    while await jobs(given).collect():
        pass
    return await read(given, job)


async def read(given: Given, job: DeliveryJob) -> DeliveryJob:
    return await given.store.get_delivery_job(Scope(), job.id)


async def run(given: Given, job: DeliveryJob, limit: int = 500) -> DeliveryJob:
    """Go on with a job until it has ended, its deliveries claimed as soon as they are due."""
    await collected(given, job)
    for _ in range(100):
        if not (found := await read(given, job)).is_active:
            return found
        await given.store.run_delivery_jobs(LATER + MINUTE, limit, limit)
        await given.claim(LATER + MINUTE, each=1000)
    raise AssertionError(await read(given, job))


async def fail(given: Given, count: int, now: int = NOON) -> list[int]:
    """Publish events that fail, and return their ids."""
    await given.set_plan(disable_after=0)
    events = await given.publish(*[given.event() for _ in range(count)], now=now)
    for claim in await given.claim(now, each=1000):
        await given.record(claim, Failed(), status=500, at=now)
    return [event.event_id for event in events]


async def listed(given: Given, state: DeliveryState | None = None) -> list[Delivery]:
    return list((await given.store.list_deliveries(Scope(), None, 10_000, state=state)).items)


async def resent(given: Given) -> list[int]:
    return sorted(each.event_id for each in await listed(given) if each.origin is Origin.RESEND)


@pytest.mark.pooled
async def test_what_matches_is_sent_again_once_and_nothing_else(given: Given) -> None:
    lost = await fail(given, 5)
    await given.publish(given.event())
    for claim in await given.claim():
        await given.record(claim, Delivered())
    assert await jobs(given).count(Scope(), JobAct.RESEND, FAILED) == JobCount(5)
    done = await run(given, await start(given, JobAct.RESEND, FAILED), limit=2)
    assert (done.state, done.counted, done.found) == (JobState.DONE, 5, 5)
    assert (done.done, done.left_out) == (5, 0)
    assert await resent(given) == lost


async def test_an_event_that_failed_twice_is_sent_again_once(given: Given) -> None:
    lost = await fail(given, 1)
    [first] = await listed(given)
    await given.store.resend(Scope(), first.id, NOON)
    for claim in await given.claim():
        await given.record(claim, Failed(), status=500)
    done = await run(given, await start(given, JobAct.RESEND, FAILED))
    assert (done.counted, done.done) == (1, 1)
    assert await resent(given) == lost * 2


async def test_what_ends_after_the_job_was_requested_is_not_sent_again(given: Given) -> None:
    await fail(given, 2)
    await given.publish(given.event())
    job = await start(given, JobAct.RESEND, FAILED)
    for claim in await given.claim():
        await given.record(claim, Failed(), status=500, at=LATER + MINUTE)
    assert (await collected(given, job)).found == 2


async def test_what_is_published_after_the_job_was_requested_is_not_stopped(given: Given) -> None:
    await given.publish(given.event(), now=NOON)
    job = await start(given, JobAct.STOP)
    await given.publish(given.event(), now=LATER + MINUTE)
    assert (await run(given, job)).done == 1
    assert len(await listed(given, DeliveryState.PENDING)) == 1


@pytest.mark.pooled
async def test_pending_and_held_deliveries_are_stopped(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event() for _ in range(7)])
    assert await jobs(given).count(Scope(), JobAct.STOP, EVERYTHING) == JobCount(7)
    done = await run(given, await start(given, JobAct.STOP), limit=2)
    assert (done.done, done.left_out) == (7, 0)
    states = {(each.state, each.reason) for each in await listed(given)}
    assert states == {(DeliveryState.DISCARDED, "stopped by hand")}
    assert (await given.store.backlog(Scope())).waiting == 0


async def test_what_is_released_while_a_job_collects_is_stopped_too(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=1)
    await given.publish(*[given.event() for _ in range(2)])
    job = await start(given, JobAct.STOP)
    await jobs(given).collect()  # one of the two states
    assert await given.store.unhold(LATER + 2 * MINUTE, 10) == 1
    assert (await run(given, job)).done == 2


@pytest.mark.pooled
async def test_deliveries_that_wait_for_a_retry_are_due_at_once(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(3)])
    for claim in await given.claim():
        await given.record(claim, RetryAt(LATER + 10 * HOUR), status=500)
    assert await given.claim(LATER + MINUTE) == []
    job = await collected(given, await start(given, JobAct.RETRY))
    await given.store.run_delivery_jobs(LATER, 500, 200)
    assert len(await given.claim(LATER + MINUTE)) == 3
    assert (await run(given, job)).done == 3


async def test_nothing_is_made_due_for_an_endpoint_that_has_enough(given: Given) -> None:
    await fail(given, 5)
    job = await collected(given, await start(given, JobAct.RESEND, FAILED))
    for _ in range(3):
        await given.store.run_delivery_jobs(LATER, 500, 2)
    assert (await read(given, job)).done == 2


async def test_deliveries_to_a_disabled_endpoint_are_left_out(given: Given) -> None:
    await fail(given, 3)
    job = await collected(given, await start(given, JobAct.RESEND, FAILED))
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", LATER)
    done = await run(given, job)
    assert (done.state, done.done, done.left_out) == (JobState.DONE, 0, 3)


async def test_two_processes_collect_nothing_twice(given: Given) -> None:
    await fail(given, 3)
    job = await start(given, JobAct.RESEND, FAILED)
    [old] = await given.store.collecting_jobs()
    found = await collected(given, job)
    assert not await given.store.collect(old, [], 1, old.id, whole=True)
    assert await read(given, job) == found
    assert found.found == 3


async def test_a_second_job_of_the_same_scope_waits_for_the_first(given: Given) -> None:
    job = await start(given, JobAct.STOP)
    with pytest.raises(RefusedError) as refused:
        await start(given, JobAct.RESEND)
    assert refused.value.code == "job_running"
    await run(given, job)
    await start(given, JobAct.RESEND)


async def test_a_cancelled_job_leaves_nothing_behind(given: Given) -> None:
    await fail(given, 3)
    job = await collected(given, await start(given, JobAct.RESEND, FAILED))
    cancelled = await jobs(given).cancel(SERVER, Scope(), job.id)
    assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, "cancelled by hand")
    assert await given.store.run_delivery_jobs(LATER, 500, 200) == 3
    assert await given.store.run_delivery_jobs(LATER, 500, 200) == 0
    assert await resent(given) == []


async def test_the_audit_log_has_one_line_without_the_text_that_was_searched_for(
    given: Given,
) -> None:
    wanted = DeliveryFilter(state=DeliveryState.FAILED, text="Mary Miller")
    await fail(given, 2)
    await run(given, await start(given, JobAct.RESEND, wanted))
    lines = (await given.store.list_audit_log(Scope(), None, 100)).items
    [line] = [each for each in lines if each.action == "delivery_job.start"]
    assert line.after["filter"] == {"state": "failed", "text": MASK}
    assert not [each for each in lines if each.action.startswith("delivery.")]


async def test_a_job_of_another_account_is_not_there(given: Given) -> None:
    job = await start(given, JobAct.STOP)
    with pytest.raises(NotFoundError):
        await given.store.get_delivery_job(Scope(account_id=given.account.id), job.id)
