"""Every store: projects, accounts, endpoints, keys and the delivery log."""

import asyncio
import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.delivery.verdict import Delivered, Failed, Requeued
from hooktide.domain.errors import (
    ConfigError,
    InvalidError,
    LimitError,
    NotFoundError,
    RefusedError,
)
from hooktide.domain.model import (
    BY_PROVIDER,
    ApiKey,
    Bin,
    BinRequest,
    KeyScope,
    Origin,
    Scope,
    Secret,
    SignatureVerdict,
)
from hooktide.domain.project.project import EventType, Plan, Project
from hooktide.store.base import ProjectEdit
from hooktide.store.configuration.projects import MAX_TRIES

NEW = Secret("cd" * 32, b"\xcd" * 32)
STRANGER = Scope(account_id=1)


async def test_secrets_are_sealed_in_the_database(given: Given) -> None:
    await given.store.update_endpoint(
        Scope(),
        given.endpoint.id,
        lambda _: {"headers": (("authorization", "Bearer canary-4711"),)},
        NOON,
    )
    raw = await given.raw()
    assert b"receiver.example.com" in raw
    assert given.endpoint.secrets[0].secret.text.encode() not in raw
    assert given.endpoint.secrets[0].secret.key not in raw
    assert b"canary-4711" not in raw
    await given.reopen()
    again = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert again.secrets == given.endpoint.secrets
    assert again.headers == (("authorization", "Bearer canary-4711"),)


@pytest.mark.pooled
async def test_the_wrong_key_opens_nothing_and_leaves_no_lock(given: Given) -> None:
    with pytest.raises(ConfigError, match="key file that belongs"):
        await given.reopen(key=b"x" * 32)
    await given.reopen()
    assert await given.store.get_endpoint(Scope(), given.endpoint.id) == given.endpoint


@pytest.mark.pooled
async def test_a_plans_number_of_endpoints_is_never_exceeded(given: Given) -> None:
    await given.create_endpoint(limit=2)
    with pytest.raises(LimitError, match="allows 2 endpoints and it has 2"):
        await given.create_endpoint(limit=2)
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON)
    assert (await given.create_endpoint(limit=2)).enabled


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(given: Given) -> None:
    await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 0, NOON)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert [active.secret for active in endpoint.secrets] == [NEW]


@pytest.mark.pooled
async def test_a_rotation_with_overlap_keeps_the_old_secret_until_it_retires(given: Given) -> None:
    old = given.endpoint.secrets[0].secret
    endpoint = await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 60, NOON)
    assert [active.secret for active in endpoint.secrets] == [NEW, old]
    assert await given.store.retire_secrets(NOON + 59) == 0
    assert await given.store.retire_secrets(NOON + 60) == 1
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert [active.secret for active in endpoint.secrets] == [NEW]
    assert ("endpoint", endpoint.id) in given.hand.changes


async def test_too_many_rotations_within_the_overlap_are_refused(given: Given) -> None:
    for n in range(4):
        await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 60, NOON + n)
    with pytest.raises(RefusedError, match="5 secrets are active"):
        await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 60, NOON)


async def test_what_a_scope_does_not_reach_does_not_exist(given: Given) -> None:
    [accepted] = await given.publish()
    [claim] = await given.claim()
    store = given.store
    asked = (
        store.get_account(STRANGER, given.account.id),
        store.find_account(STRANGER, "acme"),
        store.get_endpoint(STRANGER, given.endpoint.id),
        store.update_endpoint(STRANGER, given.endpoint.id, lambda _: {"name": "x"}, NOON),
        store.delete_endpoint(STRANGER, given.endpoint.id, NOON),
        store.disable_endpoint(STRANGER, given.endpoint.id, "x", NOON),
        store.enable_endpoint(STRANGER, given.endpoint.id, NOON),
        store.rotate_secret(STRANGER, given.endpoint.id, NEW, 0, NOON),
        store.get_event(STRANGER, accepted.event_id),
        store.get_delivery(STRANGER, claim.delivery_id),
        store.list_attempts(STRANGER, claim.delivery_id),
        store.resend(STRANGER, claim.delivery_id, NOON),
        store.add_test(STRANGER, given.endpoint.id, given.event(), NOON, LEASE),
    )
    for question in asked:
        with pytest.raises(NotFoundError):
            await question
    for page in (
        await store.list_accounts(STRANGER, None, 10),
        await store.list_endpoints(STRANGER, None, 10),
        await store.list_events(STRANGER, None, 10),
        await store.list_deliveries(STRANGER, None, 10),
    ):
        assert page.items == []


async def test_two_accounts_of_a_project_never_share_a_reference(given: Given) -> None:
    with pytest.raises(RefusedError, match="has an account with this reference"):
        await given.store.create_account(given.project_id, "acme", "", "test", NOON)
    await given.store.delete_account(Scope(), given.account.id, NOON)
    again = await given.store.create_account(given.project_id, "acme", "", "test", NOON)
    assert again.id != given.account.id


@pytest.mark.pooled
async def test_a_removed_account_takes_its_endpoints_and_keys_with_it(given: Given) -> None:
    key = ApiKey(
        id=0,
        scope=KeyScope.ACCOUNT,
        project_id=given.project_id,
        account_id=given.account.id,
        name="",
        last4="1234",
        created_at=NOON,
    )
    await given.store.create_key(key, b"digest")
    await given.publish()
    await given.store.delete_account(Scope(), given.account.id, NOON)
    assert await given.store.find_key(b"digest") is None
    assert await given.claim() == []
    with pytest.raises(NotFoundError):
        await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert await given.store.discard_stale(NOON, 10) == 1
    page = await given.store.list_deliveries(Scope(), None, 10)
    assert page.items[0].reason == "endpoint deleted"


async def test_a_revoked_key_opens_nothing(given: Given) -> None:
    key = ApiKey(
        id=0,
        scope=KeyScope.PROJECT,
        project_id=given.project_id,
        account_id=None,
        name="ci",
        last4="1234",
        created_at=NOON,
    )
    added = await given.store.create_key(key, b"digest")
    assert await given.store.find_key(b"digest") == added
    await given.store.touch_keys({added.id: NOON + 5})
    await given.store.revoke_key(Scope(), added.id, NOON + 6)
    assert await given.store.find_key(b"digest") is None
    with pytest.raises(RefusedError, match="was revoked"):
        await given.store.create_key(key, b"digest")
    [row] = (await given.store.list_keys(Scope(), None, 10)).items
    assert (row.used_at, row.revoked_at) == (NOON + 5, NOON + 6)


@pytest.mark.pooled
async def test_pages_walk_a_list_without_loss_or_repetition(given: Given) -> None:
    accepted = await given.publish(*[given.event() for _ in range(25)])
    seen: list[int] = []
    before = None
    while True:
        page = await given.store.list_events(Scope(), before, 10)
        seen += [row.event.id for row in page.items]
        await given.publish()
        before = page.next_before
        if before is None:
            break
    assert seen == [item.event_id for item in reversed(accepted)]


@pytest.mark.pooled
async def test_a_resend_is_a_new_delivery_of_the_same_event(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Failed(), status=500)
    again = await given.store.resend(Scope(), claim.delivery_id, NOON)
    assert (again.event_id, again.origin, again.attempts) == (claim.event.id, Origin.RESEND, 0)
    [second] = await given.claim()
    assert (second.delivery_id, second.attempt) == (again.id, 1)
    assert await given.state(claim) == "failed"


async def test_a_held_delivery_is_not_sent_again_before_it_was_sent(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=1)
    await given.publish(given.event(), given.event())
    [held] = (await given.store.list_deliveries(Scope(), None, 1)).items
    with pytest.raises(RefusedError, match="is held because"):
        await given.store.resend(Scope(), held.id, NOON)
    assert (await given.store.counts()).held == 1


async def test_a_resend_to_a_disabled_endpoint_is_refused(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    with pytest.raises(RefusedError, match="enable it first"):
        await given.store.resend(Scope(), claim.delivery_id, NOON)


@pytest.mark.pooled
async def test_a_test_event_counts_against_the_plan_and_is_claimed_by_its_caller(
    given: Given,
) -> None:
    await given.set_plan(deliveries_per_hour=1)
    claim = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    assert claim.origin is Origin.TEST
    assert await given.claim() == []
    await given.record(claim, Delivered())
    assert await given.state(claim) == "delivered"
    with pytest.raises(LimitError, match="used up"):
        await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)


@pytest.mark.pooled
async def test_a_lost_test_of_a_disabled_endpoint_is_discarded_and_never_sent(given: Given) -> None:
    """Its process died, or could not send it: nothing else may try it, enabled again or not."""
    store, id_ = given.store, given.endpoint.id
    await store.disable_endpoint(Scope(), id_, "by hand", NOON)
    lost = await store.add_test(Scope(), id_, given.event(), NOON, LEASE)
    requeued = await store.add_test(Scope(), id_, given.event(), NOON, LEASE)
    await given.record(requeued, Requeued(NOON + LEASE), status=500)
    assert await given.state(requeued) == "discarded"
    await store.release_expired_claims(NOON + 2 * LEASE, 100)
    await store.discard_stale(NOON + 2 * LEASE, 100)
    assert await given.state(lost) == "discarded"
    found = await store.get_delivery(Scope(), lost.delivery_id)
    assert found.reason == "endpoint disabled: by hand"


@pytest.mark.pooled
async def test_a_test_that_is_out_when_its_endpoint_is_enabled_is_recorded_but_not_sent_again(
    given: Given,
) -> None:
    store, id_ = given.store, given.endpoint.id
    await store.disable_endpoint(Scope(), id_, "by hand", NOON)
    good = await store.add_test(Scope(), id_, given.event(), NOON, LEASE)
    lost = await store.add_test(Scope(), id_, given.event(), NOON, LEASE)
    await store.enable_endpoint(Scope(), id_, NOON)
    await given.record(good, Delivered())
    assert await given.state(good) == "delivered"
    await store.release_expired_claims(NOON + 2 * LEASE, 100)
    assert await given.claim(NOON + 2 * LEASE) == []
    await given.publish(now=NOON + 2 * LEASE)
    [claim] = await given.claim(NOON + 2 * LEASE)
    assert claim.delivery_id != lost.delivery_id
    await store.discard_stale(NOON + 2 * LEASE, 100)
    assert await given.state(lost) == "discarded"


async def test_what_the_provider_disabled_only_the_provider_tests(given: Given) -> None:
    store, id_ = given.store, given.endpoint.id
    await store.disable_endpoint(Scope(), id_, BY_PROVIDER, NOON)
    own = Scope(account_id=given.account.id)
    with pytest.raises(RefusedError, match="only they can enable it"):
        await store.add_test(own, id_, given.event(), NOON, LEASE)
    await store.add_test(Scope(), id_, given.event(), NOON, LEASE)


async def test_a_failed_test_counts_toward_no_auto_disable(given: Given) -> None:
    for _ in range(5):
        claim = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
        await given.record(claim, Failed(), status=500)
    assert (await given.store.get_endpoint(Scope(), given.endpoint.id)).consecutive_failures == 0


@pytest.mark.pooled
async def test_what_is_past_retention_is_dropped_and_what_is_pending_stays(given: Given) -> None:
    await given.publish(given.event(idempotency_key="k", digest=b"d"), given.event())
    claims = await given.claim()
    await given.record(claims[0], Delivered())
    later = NOON + 400 * 24 * 60 * LEASE
    assert await given.store.drop_old(later, 100) == 1
    page = await given.store.list_events(Scope(), None, 10)
    assert [row.event.id for row in page.items] == [claims[1].event.id]
    with pytest.raises(NotFoundError):
        await given.store.get_delivery(Scope(), claims[0].delivery_id)
    [fresh] = await given.publish(given.event(idempotency_key="k", digest=b"x"))
    assert not fresh.replayed


async def test_a_project_with_accounts_is_not_removed(given: Given) -> None:
    with pytest.raises(RefusedError, match="has accounts"):
        await given.store.delete_project(given.project_id, NOON)
    await given.store.delete_account(Scope(), given.account.id, NOON)
    await given.store.delete_project(given.project_id, NOON)
    with pytest.raises(NotFoundError):
        await given.store.get_project_by_id(given.project_id)


async def test_a_project_put_twice_is_one_project(given: Given) -> None:
    row = await given.store.get_project_by_id(given.project_id)
    again = await given.store.put_project(
        dataclasses.replace(row.project, disable_after=7), NOON + 1
    )
    assert again.id == row.id
    assert again.project.disable_after == 7
    assert len(await given.store.list_projects(Scope())) == 1


async def test_a_bin_keeps_the_newest_requests_and_expires(given: Given) -> None:
    new = _bin("t" * 24)
    kept = await given.store.create_bin(new, most=100)
    for n in range(5):
        request = BinRequest(
            id=0,
            bin_id=kept.id,
            method="POST",
            path="/",
            headers=(("a", "b"),),
            body=b"%d" % n,
            body_size=1,
            answered=200,
            received_at=NOON + n,
            verdict=SignatureVerdict.INVALID,
            reason="no signature",
            address="203.0.113.7",
        )
        await given.store.add_bin_request(request, keep=3, keep_bytes=1_000_000)
    page = await given.store.list_bin_requests(kept.id, None, 10)
    assert [request.body for request in page.items] == [b"4", b"3", b"2"]
    assert page.items[0].verdict is SignatureVerdict.INVALID
    assert page.items[0].reason == "no signature"
    assert page.items[0].address == "203.0.113.7"
    noted = await given.store.note_bin_request(kept, page.items[1].id, "look")
    assert noted.note == "look"
    page = await given.store.list_bin_requests(kept.id, None, 10)
    assert [request.note for request in page.items] == ["", "look", ""]
    assert await given.store.get_bin_by_page(kept.page_token, NOON + 99) == kept
    for find, token in (
        (given.store.get_bin, new.token),
        (given.store.get_bin_by_page, new.page_token),
    ):
        with pytest.raises(NotFoundError):
            await find(token, NOON + 100)
    await given.store.drop_old(NOON + 100, 10)
    assert (await given.store.list_bin_requests(kept.id, None, 10)).items == []


@pytest.mark.parametrize(
    ("room", "left"), [(3 * 112, 3), (3 * 112 - 1, 2), (112, 1), (111, 1), (0, 1)]
)
async def test_a_bin_keeps_what_it_has_room_for_and_the_newest_request_always(
    given: Given, room: int, left: int
) -> None:
    kept = await given.store.create_bin(_bin("t" * 24), most=100)
    for n in range(5):
        request = BinRequest(
            id=0,
            bin_id=kept.id,
            method="POST",
            path="/",
            headers=(("a", "b"),),  # 11 characters as JSON
            body=b"%d" % n * 100,
            body_size=100,
            answered=200,
            received_at=NOON + n,
            verdict=SignatureVerdict.INVALID,
            reason="no signature",
        )
        added = await given.store.add_bin_request(request, keep=10, keep_bytes=room)
        assert added.body == request.body
    page = await given.store.list_bin_requests(kept.id, None, 10)
    assert [request.body[:1] for request in page.items] == [b"4", b"3", b"2"][:left]


@pytest.mark.pooled
async def test_a_bins_turn_is_counted_once_however_many_processes_ask(given: Given) -> None:
    kept = await given.store.create_bin(_bin("t" * 24), most=100)
    turns = await asyncio.gather(*[given.store.take_bin_turn(kept.id) for _ in range(5)])
    assert sorted(turns) == [(turn, "[]") for turn in range(5)]
    await given.reopen()
    assert await given.store.take_bin_turn(kept.id) == (5, "[]")
    await given.store.update_bin(kept.token, '[{"status":500}]', NOON)
    assert await given.store.take_bin_turn(kept.id) == (0, '[{"status":500}]')
    await given.store.delete_bin(kept.id)
    with pytest.raises(NotFoundError):
        await given.store.take_bin_turn(kept.id)


async def test_an_accounts_bins_are_removed_with_it(given: Given) -> None:
    theirs = _bin("a" * 24, given.account.project_id, given.account.id)
    other = _bin("b" * 24, given.account.project_id)
    for each in (theirs, other):
        await given.store.create_bin(each, most=100)
    await given.store.delete_account(Scope(), given.account.id, NOON)
    with pytest.raises(NotFoundError):
        await given.store.get_bin(theirs.token, NOON)
    assert (await given.store.get_bin(other.token, NOON)).token == other.token


@pytest.mark.pooled
async def test_an_owner_has_only_so_many_bins_however_many_are_made_at_once(given: Given) -> None:
    new = [_bin(f"{n:024}") for n in range(5)]
    made = await asyncio.gather(
        *[given.store.create_bin(each, most=2) for each in new], return_exceptions=True
    )
    assert sum(isinstance(each, Bin) for each in made) == 2
    refused = [each for each in made if isinstance(each, RefusedError)]
    assert {each.code for each in refused} == {"too_many_bins"}
    assert len(refused) == 3


async def test_neither_another_owners_bins_nor_expired_ones_count(given: Given) -> None:
    for n, owner in enumerate([(None, None), (1, None), (2, None), (1, 11), (1, 12)]):
        await given.store.create_bin(_bin(f"{n:024}", *owner), most=1)
        with pytest.raises(RefusedError):
            await given.store.create_bin(_bin("t" * 24, *owner), most=1)
    later = dataclasses.replace(_bin("t" * 24), created_at=NOON + 100, expires_at=NOON + 200)
    assert (await given.store.create_bin(later, most=1)).token == "t" * 24


def _bin(token: str, project_id: int | None = None, account_id: int | None = None) -> Bin:
    return Bin(
        id=0,
        token=token,
        page_token=f"page{token[4:]}",
        project_id=project_id,
        account_id=account_id,
        script="[]",
        created_at=NOON,
        expires_at=NOON + 100,
    )


def add_type(name: str) -> ProjectEdit:
    def edit(project: Project | None) -> Project:
        assert project is not None
        return replace(project, event_types=(*project.event_types, EventType(name=name)))

    return edit


@pytest.mark.pooled
async def test_edits_made_at_once_are_all_kept(given: Given) -> None:
    name = (await given.store.get_project_by_id(given.project_id)).project.name
    names = [f"a.n{number}" for number in range(2 * MAX_TRIES)]
    await asyncio.gather(
        *[given.store.edit_project(Scope(), name, add_type(each), NOON) for each in names]
    )
    row = await given.store.get_project_by_id(given.project_id)
    assert {*names} <= {kind.name for kind in row.project.event_types}


async def test_an_edit_is_made_again_on_what_was_stored_between(given: Given) -> None:
    before = await given.store.get_project_by_id(given.project_id)
    seen: list[int] = []
    other = asyncio.Event()

    async def between() -> None:  # like another process, which does not wait for this one
        another: Any = given.store
        await another._edit(
            Scope(), before.project.name, add_type("a.between"), NOON, None, True, False
        )
        other.set()

    def edit(project: Project | None) -> Project:
        assert project is not None
        seen.append(len(project.event_types))
        return add_type("a.mine")(project)

    save = given.store._save_project  # to let another writer be faster

    async def save_late(*row: Any, **more: Any) -> Any:
        if not other.is_set() and row[1].event_types[-1].name == "a.mine":
            await between()
        return await save(*row, **more)

    given.store._save_project = save_late  # type: ignore[method-assign]
    edited = await given.store.edit_project(Scope(), before.project.name, edit, NOON)
    names = [kind.name for kind in edited.after.project.event_types]
    assert names[-2:] == ["a.between", "a.mine"]
    assert seen == [len(names) - 2, len(names) - 1]
    assert edited.before is not None
    assert edited.before.project.event_types[-1].name == "a.between"
    assert edited.after.version == before.version + 2


async def test_an_edit_that_changes_nothing_stores_nothing(given: Given) -> None:
    before = await given.store.get_project_by_id(given.project_id)
    project = before.project
    edited = await given.store.edit_project(Scope(), project.name, lambda _: project, NOON + 5)
    assert edited.before == edited.after == before


@pytest.mark.pooled
async def test_a_plan_is_not_taken_away_while_an_account_is_put_on_it(given: Given) -> None:
    row = await given.store.get_project_by_id(given.project_id)
    name, [test] = row.project.name, row.project.plans
    more = replace(row.project, plans=(test, Plan(name="extra")))
    for number in range(6):
        await given.store.put_project(more, NOON)
        results = await asyncio.gather(
            given.store.edit_project(Scope(), name, lambda _: row.project, NOON),
            given.store.create_account(given.project_id, f"a{number}", "", "extra", NOON),
            given.store.update_account(Scope(), given.account.id, {"plan": "extra"}, NOON),
            return_exceptions=True,
        )
        assert all(
            not isinstance(each, BaseException) or getattr(each, "code", "") in REFUSED
            for each in results
        ), results
        page = await given.store.list_accounts(Scope(), None, 100)
        plans = (await given.store.get_project_by_id(given.project_id)).project.plans
        assert {each.plan for each in page.items} <= {plan.name for plan in plans}
        for each in page.items:
            await given.store.update_account(Scope(), each.id, {"plan": "test"}, NOON)


REFUSED = {"plan_in_use", "unknown_plan"}


async def test_an_account_is_never_on_a_plan_that_there_is_not(given: Given) -> None:
    with pytest.raises(InvalidError, match="no such plan; use test"):
        await given.store.create_account(given.project_id, "b", "", "gone", NOON)
    with pytest.raises(InvalidError, match="no such plan; use test"):
        await given.store.update_account(Scope(), given.account.id, {"plan": "gone"}, NOON)


@pytest.mark.pooled
async def test_a_type_is_not_removed_while_an_endpoint_is_made_to_want_it(given: Given) -> None:
    row = await given.store.get_project_by_id(given.project_id)
    name = row.project.name
    more = replace(row.project, event_types=(*row.project.event_types, EventType(name="x.extra")))
    for _ in range(6):
        await given.store.put_project(more, NOON)
        results = await asyncio.gather(
            given.store.edit_project(
                Scope(), name, lambda _: row.project, NOON, remove_event_types=False
            ),
            given.create_endpoint("x.extra"),
            given.store.update_endpoint(
                Scope(), given.endpoint.id, lambda _: {"event_types": ("x.extra",)}, NOON
            ),
            return_exceptions=True,
        )
        codes = {getattr(each, "code", "") for each in results if isinstance(each, Exception)}
        assert codes <= {"event_types_in_use", "unknown_event_type"}, results
        types = (await given.store.get_project_by_id(given.project_id)).project.event_types
        found = await given.store.list_endpoints(Scope(), None, 100)
        wanting = [each for each in found.items if "x.extra" in each.event_types]
        assert not wanting or "x.extra" in {kind.name for kind in types}
        for each in wanting:
            await given.store.update_endpoint(
                Scope(), each.id, lambda _: {"event_types": ("*",)}, NOON
            )
