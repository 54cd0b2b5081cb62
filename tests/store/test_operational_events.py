"""Operational events are stored once, in the transaction of their cause, and not for themselves."""

import pytest
from storekit import NOON, Given

from hooktide.dialects import load
from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, RetryAt
from hooktide.domain.model import HOUR, Scope, Secret
from hooktide.domain.operational_events import PROJECT, Type, limit_reached
from hooktide.domain.project.project import Project
from hooktide.store.base import NewEvent

SECRET = Secret("cd" * 32, b"\xcd" * 32)


@pytest.fixture
def own() -> Project:
    return load(PROJECT)


async def told(given: Given) -> list[str]:
    """Return the sorted types of the stored operational events. All belong to the given project."""
    found = await given.store.operational_events(100)
    assert {project_id for project_id, _ in found} <= {given.project_id}
    return sorted(each.type.value for _, each in found)


async def fail(given: Given, count: int) -> None:
    for _ in range(count):
        await given.publish()
        [claim] = await given.claim()
        await given.record(claim, Failed(), status=500)


async def test_without_the_built_in_project_nothing_is_kept(given: Given) -> None:
    await fail(given, 3)
    assert await told(given) == []


@pytest.mark.pooled
async def test_a_failed_delivery_creates_an_event_with_its_details(
    given: Given, own: Project
) -> None:
    await given.store.put_project(own, NOON)
    [accepted] = await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(NOON), status=500)
    assert await told(given) == []
    [claim] = await given.claim()
    await given.record(claim, Failed(), status=500)
    [(_, event)] = await given.store.operational_events(100)
    assert event.about == {
        "delivery": f"dlv_{claim.delivery_id:016x}",
        "event": f"evt_{accepted.event_id:016x}",
        "event_type": "invoice.paid",
        "attempts": 2,
        "reason": "status 500",
    }
    assert (event.account_id, event.endpoint_id) == (given.account.id, given.endpoint.id)


async def test_failing_and_disabling_are_each_published_once_in_a_series_of_failures(
    given: Given, own: Project
) -> None:
    await given.store.put_project(own, NOON)
    await given.set_plan(disable_after=4)
    await fail(given, 2)
    assert await told(given) == ["delivery.failed"] * 2
    await fail(given, 1)
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    await fail(given, 4)
    counted = await told(given)
    assert counted.count("endpoint.failing") == 2
    assert counted.count("endpoint.disabled") == 1
    assert counted.count("delivery.failed") == 7


async def test_the_event_of_an_endpoint_that_is_gone_or_disabled_by_hand_has_the_reason(
    given: Given, own: Project
) -> None:
    await given.store.put_project(own, NOON)
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Gone("Slack says no_service: the webhook was removed"), status=404)
    other = await given.create_endpoint()
    await given.store.disable_endpoint(Scope(), other.id, "disabled by hand", NOON + 1)
    await given.store.disable_endpoint(Scope(), other.id, "disabled by hand", NOON + 2)
    found = {
        each.endpoint_id: each.about["reason"]
        for _, each in await given.store.operational_events(100)
        if each.type is Type.ENDPOINT_DISABLED
    }
    assert found == {
        given.endpoint.id: "Slack says no_service: the webhook was removed",
        other.id: "disabled by hand",
    }
    assert (await told(given)).count("endpoint.disabled") == 2


@pytest.mark.pooled
async def test_a_plans_full_hour_is_published_once(given: Given, own: Project) -> None:
    await given.store.put_project(own, NOON)
    await given.set_plan(deliveries_per_hour=2)
    await given.publish(*[given.event() for _ in range(2)])
    assert await told(given) == []
    await given.publish(*[given.event() for _ in range(3)])
    await given.publish(given.event())
    [(_, event)] = await given.store.operational_events(100)
    assert event.about == {"limit": "deliveries_per_hour", "allowed": 2}
    again = limit_reached(given.account.id, "deliveries_per_hour", 2, NOON + 1)
    await given.store.add_operational_event(again)
    assert len(await given.store.operational_events(100)) == 1
    later = limit_reached(given.account.id, "deliveries_per_hour", 2, NOON + HOUR)
    await given.store.add_operational_event(later)
    assert len(await given.store.operational_events(100)) == 2


async def test_the_event_of_a_rotated_secret_does_not_contain_the_secret(
    given: Given, own: Project
) -> None:
    await given.store.put_project(own, NOON)
    await given.store.rotate_secret(Scope(), given.endpoint.id, SECRET, HOUR, NOON)
    [(_, event)] = await given.store.operational_events(100)
    assert event.about == {"previous_secret_expires_at": "2026-01-01T13:00:00.000000Z"}


async def test_the_built_in_project_creates_no_operational_events(
    given: Given, own: Project
) -> None:
    row = await given.store.put_project(own, NOON)
    account = await given.store.create_account(row.id, "test", "", "default", NOON)
    given.endpoint = await given.create_endpoint(account=account)
    new = NewEvent(project_id=row.id, account_id=account.id, type="delivery.failed", payload=b"{}")
    for _ in range(6):
        await given.publish(new)
        [claim] = await given.claim()
        await given.record(claim, Failed(), status=500)
    await given.store.rotate_secret(Scope(), given.endpoint.id, SECRET, 0, NOON)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "disabled by hand", NOON)
    assert await given.store.operational_events(100) == []


@pytest.mark.pooled
async def test_published_operational_events_are_deleted_and_the_others_are_kept(
    given: Given, own: Project
) -> None:
    await given.store.put_project(own, NOON)
    await given.set_plan(disable_after=100)
    await fail(given, 2)
    [(_, first), (_, second)] = await given.store.operational_events(100)
    assert [each.key for _, each in await given.store.operational_events(1)] == [first.key]
    await given.store.delete_operational_events([first.key])
    assert [each.key for _, each in await given.store.operational_events(100)] == [second.key]


async def test_tests_create_no_operational_events(given: Given, own: Project) -> None:
    await given.store.put_project(own, NOON)
    new = given.event(test=True)
    claim = await given.store.add_test(Scope(), given.endpoint.id, new, NOON, HOUR)
    await given.record(claim, Failed(), status=500)
    assert await told(given) == []
