"""Erasing an account removes all of its data and nothing else."""

from dataclasses import replace
from typing import Any

import apsw
import msgspec
import pytest
from storekit import LEASE, NOON, Given

from hooktide.actions.deliveries.delivery_jobs import filter_of
from hooktide.actions.deliveries.delivery_log import DeliveryFilter
from hooktide.domain.audit_log import Actor, AuditEntry, Source
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import (
    Account,
    ApiKey,
    Attempt,
    Bin,
    BinRequest,
    Claim,
    Erasure,
    JobAct,
    KeyScope,
    Scope,
    SignatureVerdict,
)
from hooktide.store.base import AttemptRecord, JobItem

CANARY = "canary4711"
ANYONE = Scope()
SETTLED = NOON + 3 * LEASE
ERASE = Actor(name="ann", source=Source.API, address="192.0.2.7").does("account.erase")
LINE = AuditEntry(
    id=0,
    project_id=None,
    account_id=None,
    actor="ann",
    source="api",
    address="",
    action="account.erase",
    target="",
    detail="",
    before={},
    after={},
)


async def filled(given: Given, text: str, *, events: int = 3) -> Account:
    """Return an account with ``text`` in all of its data."""
    store = given.store
    account = await store.create_account(given.project_id, text, f"{text} Ltd", "test", NOON)
    endpoint = await given.create_endpoint(url=f"https://{text}.example.com/", account=account)
    account = await store.update_account(ANYONE, account.id, {"metadata": (("a", text),)}, NOON)
    given_now = {
        "name": text,
        "description": text,
        "headers": (("x-a", text),),
        "channels": (text,),
        "reference": text,
        "metadata": (("a", text),),
    }
    await store.update_endpoint(ANYONE, endpoint.id, lambda _: given_now, NOON)
    for n in range(events):
        await given.publish(
            given.event(
                account_id=account.id,
                payload=b'{"of":"%b"}' % text.encode(),
                idempotency_key=f"{text}-{account.id}-{n}",
                digest=b"digest",
                channels=(text,),
                tags=(text,),
            )
        )
    claims = await store.claim_due([endpoint.id], NOON, LEASE, events)
    for claim in claims[: events - 1]:  # the last one is still in flight
        await record(given, claim, text)
    await create_bin(given, account, text)
    key = ApiKey(
        id=0,
        scope=KeyScope.ACCOUNT,
        project_id=given.project_id,
        account_id=account.id,
        name=text,
        last4="1a2b",
        created_at=NOON,
    )
    await store.create_key(key, show("acc", account.id).encode())
    line = replace(
        LINE,
        project_id=given.project_id,
        account_id=account.id,
        actor=f"key …1a2b ({text})",
        action="endpoint.update",
        detail=text,
        before={"name": text},
        after={"url": text},
    )
    await store.add_audit_entry(line, NOON)
    of_it = replace(line, account_id=None, actor="ann", target=show("acc", account.id))
    await store.add_audit_entry(of_it, NOON)
    portal = replace(line, actor=f"portal of {text}", source="portal")
    await store.add_audit_entry(portal, NOON)
    return account


async def record(given: Given, claim: Claim, text: str) -> None:
    made = Attempt(
        delivery_id=claim.delivery_id,
        number=claim.attempt,
        started_at=NOON,
        duration=5000,
        status=200,
        error="",
        detail=text,
        request_head=text.encode(),
        response_head=text.encode(),
        response_body=text.encode(),
        response_truncated=False,
    )
    given.store.record(AttemptRecord(claim, made, Delivered()))
    await given.store.recorded()


async def create_bin(given: Given, account: Account, text: str) -> None:
    token = f"{account.id:024x}"
    new = Bin(
        id=0,
        token=token,
        page_token=f"page{token[4:]}",
        project_id=given.project_id,
        account_id=account.id,
        script=f'["{text}"]',
        created_at=NOON,
        expires_at=NOON + 10**12,
    )
    request = BinRequest(
        id=0,
        bin_id=(await given.store.create_bin(new, most=100)).id,
        method="POST",
        path=f"/{text}",
        headers=(("x-a", text),),
        body=text.encode(),
        body_size=1,
        answered=200,
        received_at=NOON,
        verdict=SignatureVerdict.INVALID,
        reason="no signature",
    )
    await given.store.add_bin_request(request, keep=3, keep_bytes=1_000_000)


async def erase(given: Given, account: Account) -> Erasure:
    return await given.store.erase_account(ANYONE, account.id, "", NOON, ERASE)


async def go_on(given: Given, now: int) -> int:
    """Run all background work until nothing is left to do. Return the number of steps."""
    for steps in range(200):
        done = await given.store.log_new(500)
        done += await given.store.release_expired_claims(now, 500)
        done += await given.store.discard_stale(now, 500)
        done += await given.store.run_erasures(now)
        if not done:
            return steps
    raise AssertionError("it never ends")


async def all_that_is_left(given: Given) -> bytes:
    """Return everything that is stored, for SQLite after VACUUM, as the documentation advises.

    SQLite leaves copies of moved rows in the unused parts of pages.
    """
    await given.close()
    if given.place.is_file:
        apsw.Connection(given.place.url).execute("VACUUM")
    return await given.place.raw()


@pytest.mark.pooled
async def test_nothing_that_was_kept_of_an_erased_account_is_found_anywhere(given: Given) -> None:
    account = await filled(given, CANARY)
    other = await filled(given, "neighbour")
    raw = await given.raw()
    assert raw.count(CANARY.encode()) > 15
    await given.open()
    await erase(given, account)
    await go_on(given, NOON)
    await go_on(given, SETTLED)
    found = await given.store.get_erasure(ANYONE, account.id)
    assert (found.events, found.attempts, found.ended_at) == (3, 2, SETTLED)
    listed = await given.store.list_events(Scope(account_id=account.id), None, 10)
    assert [(row.event.payload, row.deliveries) for row in listed.items] == [(b"null", 1)] * 3
    deliveries = await given.store.list_deliveries(Scope(account_id=account.id), None, 10)
    assert sorted((each.state.value, each.attempts) for each in deliveries.items) == [
        ("delivered", 1),
        ("delivered", 1),
        ("discarded", 0),
    ]
    lines = await given.store.list_audit_log(ANYONE, None, 10, target=show("acc", account.id))
    told = {(each.actor, each.action, each.detail) for each in lines.items}
    assert told == {("ann", "account.erase", ""), ("ann", "endpoint.update", "")}
    assert (await given.store.get_account(ANYONE, other.id)).name == "neighbour Ltd"
    raw = await all_that_is_left(given)
    assert CANARY.encode() not in raw
    assert raw.count(b"neighbour") > 15


async def test_what_is_recorded_while_it_is_erased_is_erased_too(given: Given) -> None:
    account = await filled(given, CANARY, events=1)
    [late] = await given.store.claim_due(
        [e.id for e in await _endpoints(given, account)], NOON + 2 * LEASE, LEASE, 1
    )
    await erase(given, account)
    await go_on(given, NOON)
    await record(given, late, CANARY)  # its request was in flight all the time
    [made] = await given.store.list_attempts(ANYONE, late.delivery_id)
    assert made.response_body == CANARY.encode()
    await go_on(given, SETTLED)
    [made] = await given.store.list_attempts(ANYONE, late.delivery_id)
    assert (made.status, made.response_body, made.request_head) == (200, b"", b"")
    assert CANARY.encode() not in await all_that_is_left(given)


async def _endpoints(given: Given, account: Account) -> Any:
    scope = Scope(account_id=account.id)
    return (await given.store.list_endpoints(scope, None, 10)).items


async def test_texts_that_jobs_of_several_accounts_searched_for_are_erased_after_collecting(
    given: Given,
) -> None:
    account = await filled(given, CANARY)
    store, wanted, counted = given.store, DeliveryFilter(text=CANARY, cause="401"), (1, False)
    text = msgspec.json.encode(wanted).decode()
    project = Scope(project_id=given.project_id)
    started = [
        await store.create_delivery_job(scope, JobAct.STOP, text, counted, NOON)
        for scope in (ANYONE, project)
    ]
    await store.cancel_delivery_job(ANYONE, started[0].id, "", NOON)
    await erase(given, account)
    await go_on(given, NOON)
    texts = [filter_of(await store.get_delivery_job(ANYONE, each.id)) for each in started]
    assert texts == [replace(wanted, text="erased"), wanted]
    await go_on(given, SETTLED)
    assert (await store.get_erasure(ANYONE, account.id)).ended_at is None
    assert await store.collect(started[1], [JobItem(1, 1)], 2, 0, whole=True)
    await go_on(given, SETTLED)
    assert (await store.get_erasure(ANYONE, account.id)).ended_at == SETTLED
    assert filter_of(await store.get_delivery_job(ANYONE, started[1].id)).text == "erased"


@pytest.mark.pooled
async def test_an_erasure_goes_on_where_a_process_that_died_left_it(given: Given) -> None:
    account = await filled(given, CANARY, events=120)
    await given.store.log_new(500)
    await erase(given, account)
    assert await given.store.run_erasures(NOON) == 50
    await given.reopen()
    before = await given.store.get_erasure(ANYONE, account.id)
    assert (before.events, before.ended_at) == (50, None)
    assert before.erased_to is not None
    await go_on(given, NOON)
    await go_on(given, SETTLED)
    after = await given.store.get_erasure(ANYONE, account.id)
    assert (after.events, after.attempts, after.ended_at) == (120, 119, SETTLED)
    assert CANARY.encode() not in await all_that_is_left(given)


async def test_an_erasure_waits_for_attempts_in_flight(given: Given) -> None:
    account = await filled(given, CANARY)
    await erase(given, account)
    for now in (NOON, NOON + 2 * LEASE - 1):
        await go_on(given, now)
        assert (await given.store.get_erasure(ANYONE, account.id)).ended_at is None
    await go_on(given, NOON + 2 * LEASE)
    assert (await given.store.get_erasure(ANYONE, account.id)).ended_at == NOON + 2 * LEASE


@pytest.mark.pooled
async def test_an_account_that_was_removed_before_is_erased_by_its_id_or_its_reference(
    given: Given,
) -> None:
    first = await filled(given, CANARY)
    await given.store.delete_account(ANYONE, first.id, NOON)
    second = await filled(given, CANARY)
    found = await given.store.erase_account(ANYONE, 0, CANARY, NOON, ERASE)
    assert found.account_id == second.id
    again = await given.store.erase_account(ANYONE, second.id, "", NOON, ERASE)
    assert again.account_id == second.id
    with pytest.raises(NotFoundError):
        await given.store.erase_account(ANYONE, 0, CANARY, NOON, ERASE)
    await go_on(given, NOON)
    await go_on(given, SETTLED)
    found = await given.store.get_erasure(ANYONE, first.id)
    assert (found.events, found.ended_at) == (6, SETTLED)
    assert CANARY.encode() not in await all_that_is_left(given)


async def test_an_account_of_another_scope_is_not_there(given: Given) -> None:
    account = await filled(given, CANARY)
    stranger = Scope(project_id=given.project_id + 1)
    with pytest.raises(NotFoundError):
        await given.store.erase_account(stranger, account.id, "", NOON, ERASE)
    with pytest.raises(NotFoundError):
        await given.store.erase_account(stranger, 0, CANARY, NOON, ERASE)
    assert (await given.store.get_account(ANYONE, account.id)).reference == CANARY
    await erase(given, account)
    with pytest.raises(NotFoundError):
        await given.store.get_erasure(stranger, account.id)
