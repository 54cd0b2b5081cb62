"""What every store promises about projects, accounts, endpoints, keys and the log."""

import asyncio
import dataclasses

import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.errors import ConfigError, LimitError, NotFoundError, RefusedError
from hooktide.domain.model import (
    ApiKey,
    Bin,
    BinRequest,
    KeyScope,
    Origin,
    Scope,
    Secret,
    SignatureVerdict,
)
from hooktide.domain.verdict import Delivered, Failed

NEW = Secret("cd" * 32, b"\xcd" * 32)
STRANGER = Scope(account_id=1)


async def test_secrets_are_sealed_in_the_database(given: Given) -> None:
    await given.store.change_endpoint(
        Scope(), given.endpoint.id, {"headers": (("authorization", "Bearer canary-4711"),)}, NOON
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


async def test_the_wrong_key_opens_nothing_and_leaves_no_lock(given: Given) -> None:
    with pytest.raises(ConfigError, match="key file that belongs"):
        await given.reopen(key=b"x" * 32)
    await given.reopen()
    assert await given.store.get_endpoint(Scope(), given.endpoint.id) == given.endpoint


async def test_a_plans_number_of_endpoints_is_never_exceeded(given: Given) -> None:
    await given.add_endpoint(limit=2)
    with pytest.raises(LimitError, match="allows 2 endpoints and it has 2"):
        await given.add_endpoint(limit=2)
    await given.store.remove_endpoint(Scope(), given.endpoint.id, NOON)
    assert (await given.add_endpoint(limit=2)).enabled


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(given: Given) -> None:
    await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 0, NOON)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert [active.secret for active in endpoint.secrets] == [NEW]


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
    with pytest.raises(RefusedError, match="5 secrets sign"):
        await given.store.rotate_secret(Scope(), given.endpoint.id, NEW, 60, NOON)


async def test_what_a_scope_does_not_reach_does_not_exist(given: Given) -> None:
    [accepted] = await given.publish()
    [claim] = await given.claim()
    store = given.store
    asked = (
        store.get_account(STRANGER, given.account.id),
        store.find_account(STRANGER, "acme"),
        store.get_endpoint(STRANGER, given.endpoint.id),
        store.change_endpoint(STRANGER, given.endpoint.id, {"name": "x"}, NOON),
        store.remove_endpoint(STRANGER, given.endpoint.id, NOON),
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
        await given.store.add_account(given.project_id, "acme", "", "test", NOON)
    await given.store.remove_account(Scope(), given.account.id, NOON)
    again = await given.store.add_account(given.project_id, "acme", "", "test", NOON)
    assert again.id != given.account.id


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
    await given.store.add_key(key, b"digest")
    await given.publish()
    await given.store.remove_account(Scope(), given.account.id, NOON)
    assert await given.store.find_key(b"digest") is None
    assert await given.claim() == []
    with pytest.raises(NotFoundError):
        await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert await given.store.discard_stale(NOON, 10) == 1
    page = await given.store.list_deliveries(Scope(), None, 10)
    assert page.items[0].reason == "endpoint removed"


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
    added = await given.store.add_key(key, b"digest")
    assert await given.store.find_key(b"digest") == added
    await given.store.touch_keys({added.id: NOON + 5})
    await given.store.revoke_key(Scope(), added.id, NOON + 6)
    assert await given.store.find_key(b"digest") is None
    with pytest.raises(RefusedError, match="was revoked"):
        await given.store.add_key(key, b"digest")
    [row] = (await given.store.list_keys(Scope(), None, 10)).items
    assert (row.used_at, row.revoked_at) == (NOON + 5, NOON + 6)


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
    with pytest.raises(RefusedError, match="held back"):
        await given.store.resend(Scope(), held.id, NOON)
    assert (await given.store.counts()).held == 1


async def test_a_resend_to_a_disabled_endpoint_is_refused(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    with pytest.raises(RefusedError, match="enable it first"):
        await given.store.resend(Scope(), claim.delivery_id, NOON)


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


async def test_a_failed_test_counts_toward_no_auto_disable(given: Given) -> None:
    for _ in range(5):
        claim = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
        await given.record(claim, Failed(), status=500)
    assert (await given.store.get_endpoint(Scope(), given.endpoint.id)).failing == 0


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
        await given.store.remove_project(given.project_id, NOON)
    await given.store.remove_account(Scope(), given.account.id, NOON)
    await given.store.remove_project(given.project_id, NOON)
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
    kept = await given.store.add_bin(new, most=100)
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
        )
        await given.store.add_bin_request(request, keep=3)
    page = await given.store.list_bin_requests(kept.id, None, 10)
    assert [request.body for request in page.items] == [b"4", b"3", b"2"]
    assert page.items[0].verdict is SignatureVerdict.INVALID
    assert page.items[0].reason == "no signature"
    with pytest.raises(NotFoundError):
        await given.store.get_bin(new.token, NOON + 100)
    await given.store.drop_old(NOON + 100, 10)
    assert (await given.store.list_bin_requests(kept.id, None, 10)).items == []


async def test_an_owner_has_only_so_many_bins_however_many_are_made_at_once(given: Given) -> None:
    new = [_bin(f"{n:024}") for n in range(5)]
    made = await asyncio.gather(
        *[given.store.add_bin(each, most=2) for each in new], return_exceptions=True
    )
    assert sum(isinstance(each, Bin) for each in made) == 2
    refused = [each for each in made if isinstance(each, RefusedError)]
    assert {each.code for each in refused} == {"too_many_bins"}
    assert len(refused) == 3


async def test_neither_another_owners_bins_nor_expired_ones_count(given: Given) -> None:
    for n, owner in enumerate([(None, None), (1, None), (2, None), (1, 11), (1, 12)]):
        await given.store.add_bin(_bin(f"{n:024}", *owner), most=1)
        with pytest.raises(RefusedError):
            await given.store.add_bin(_bin("t" * 24, *owner), most=1)
    later = dataclasses.replace(_bin("t" * 24), created_at=NOON + 100, expires_at=NOON + 200)
    assert (await given.store.add_bin(later, most=1)).token == "t" * 24


def _bin(token: str, project_id: int | None = None, account_id: int | None = None) -> Bin:
    return Bin(
        id=0,
        token=token,
        project_id=project_id,
        account_id=account_id,
        script="[]",
        created_at=NOON,
        expires_at=NOON + 100,
    )
