"""The clients and a real server: the whole API, with pagination and every kind of error."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from clientkit import Place

from hooktide import AsyncClient, Client
from hooktide.client import (
    ConflictError,
    InvalidError,
    LimitError,
    NewEvent,
    NotFoundError,
    RetryPolicy,
    UnauthorizedError,
    UnreachableError,
    json_of,
)
from hooktide.dialects import read_shipped
from hooktide.verify import Verifier
from hooktide.wire.bins import AnswerHeaders, Step
from hooktide.wire.events import DeliveryFilter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def settled(client: AsyncClient, event: str) -> None:
    async with asyncio.timeout(60):
        while [each async for each in client.deliveries.list(event=event, state="pending")]:
            await asyncio.sleep(0.02)


async def test_an_event_on_its_way_from_the_client_to_a_receiver_and_back(place: Place) -> None:
    async with AsyncClient(place.url, place.key) as client:
        kept = await client.bins.create([Step(status=202, body="thanks\n")])
        hook = await client.endpoints.create(kept.url, ["invoice.*"], account="acme", name="mine")
        sent = await client.publish("acme", "invoice.paid", {"id": "x", "total": Decimal("1.10")})
        await settled(client, sent.id)
        [request] = [each async for each in client.bins.requests(kept.id)]
        body = await client.bins.body(kept.id, request.id)
        noted = await client.bins.update_request(kept.id, request.id, note="the first")
        assert noted.note == "the first"
        found = Verifier("invoice-maker", hook.secret.text).verify(body, request.headers)
        assert (found.event_id, request.signature.verdict) == (sent.id, "valid")
        [delivery] = [each async for each in client.deliveries.list(event=sent.id)]
        assert (delivery.endpoint, delivery.state) == (hook.id, "delivered")
        [attempt] = await client.deliveries.attempts(delivery.id)
        assert (attempt.status, attempt.response_body) == (202, "thanks\n")


async def test_the_whole_api_answers_in_the_clients_shapes(place: Place) -> None:
    async with AsyncClient(place.url, place.key) as client:
        await _projects(client)
        await _accounts_and_keys(client)
        await _users(client)
        await _endpoints(client)
        await _events(client)
        await _bins(client)
        await _webhooks(client, place)


async def _projects(client: AsyncClient) -> None:
    applied = await client.projects.apply("invoice-ahoy", read_shipped("invoice-ahoy"))
    assert applied.changes[0] == "project added"
    assert "invoice-ahoy" in [each.name for each in await client.projects.list()]
    assert (await client.projects.get("invoice-maker")).plans[0].timeout_seconds == 10.0
    made = await client.event_types.put("a.b", project="invoice-ahoy", example={"n": 1})
    assert json_of(made.example) == {"n": 1}
    listed = await client.event_types.list(project="invoice-ahoy")
    assert "a.b" in [each.name for each in listed]
    assert (await client.event_types.get("a.b", project="invoice-ahoy")).name == "a.b"
    await client.event_types.delete("a.b", project="invoice-ahoy")
    await client.projects.delete("invoice-ahoy")
    assert {each.project for each in await client.storage_usage()} >= {"invoice-maker"}
    assert (await client.statistics(period="7d")).waiting.held == 0


async def _accounts_and_keys(client: AsyncClient) -> None:
    added = await client.accounts.create("other", project="invoice-maker", name="Other")
    assert (await client.accounts.update("other", plan="pro")).name == "Other"
    assert (await client.accounts.get(added.id)).plan == "pro"
    assert added.id in [each.id async for each in client.accounts.list(project="invoice-maker")]
    link = await client.accounts.create_portal_link("other", read_only=True)
    assert link.read_only
    assert link.url not in repr(link)
    key = await client.keys.create("account", "k", account="other")
    assert key.key not in repr(key)
    await client.keys.revoke(key.id)
    [listed] = [each async for each in client.keys.list() if each.id == key.id]
    assert listed.revoked_at is not None
    await client.accounts.delete("other")


async def _users(client: AsyncClient) -> None:
    ann = await client.users.create("ann", "viewer", project="invoice-maker")
    assert (ann.project, ann.has_password) == ("invoice-maker", False)
    changed = await client.users.update(ann.id, role="member", project=None)
    assert (changed.role, changed.project) == ("member", None)
    link = await client.users.create_login_link(ann.id)
    assert link.url not in repr(link)
    assert (await client.users.get(ann.id)).name == "ann"
    assert "ann" in [each.name for each in await client.users.list()]
    await client.users.delete(ann.id)
    changes = [each.action async for each in client.audit_log(target=ann.id)]
    assert len(changes) >= 3


async def _endpoints(client: AsyncClient) -> None:
    kept = await client.bins.create()
    hook = await client.endpoints.create(
        kept.url, ["*"], account="acme", headers={"X-A": "1"}, description="d"
    )
    assert hook.secret.text not in repr(hook)
    changed = await client.endpoints.update(hook.id, name="n", headers={})
    assert (changed.name, changed.headers, changed.description) == ("n", {}, "d")
    assert (await client.endpoints.get(hook.id)).created_at.tzinfo is not None
    assert hook.id in [each.id async for each in client.endpoints.list(account="acme")]
    tested = await client.endpoints.test(hook.id, event_type="invoice.paid")
    assert (tested.status, tested.response_status) == ("delivered", 200)
    assert [each.origin async for each in client.endpoints.deliveries(hook.id)] == ["test"]
    assert (await client.endpoints.rotate(hook.id)).secret != hook.secret
    assert not (await client.endpoints.disable(hook.id)).enabled
    assert (await client.endpoints.enable(hook.id)).enabled
    await client.endpoints.delete(hook.id)


async def _events(client: AsyncClient) -> None:
    kept = await client.bins.create()
    hook = await client.endpoints.create(kept.url, ["*"], account="acme")
    occurred = datetime.now(UTC) - timedelta(days=1)
    exact = b'{"total": 1.10, "a": 1}'
    sent = await client.publish("acme", "invoice.paid", exact, occurred_at=occurred)
    whole = await client.events.get(sent.id)
    assert bytes(whole.payload) == exact
    assert whole.occurred_at == occurred
    await settled(client, sent.id)
    [delivery] = [
        each async for each in client.deliveries.list(event=sent.id, endpoint=hook.id, limit=1)
    ]
    assert (await client.deliveries.get(delivery.id)).state == "delivered"
    again = await client.deliveries.resend(delivery.id)
    assert again.origin == "resend"
    since = datetime.now(UTC) - timedelta(hours=1)
    assert (await client.replays.count(hook.id, "failed", since=since)).events == 0
    replay = await client.replays.start(hook.id, "event", event=sent.id)
    assert (await client.replays.get(replay.id)).what == "event"
    assert [each.id async for each in client.replays.list(hook.id)] == [replay.id]
    assert (await client.replays.cancel(replay.id)).state in {"done", "cancelled"}
    wanted = DeliveryFilter(endpoint=hook.id, state="delivered")
    assert (await client.delivery_jobs.count("resend", wanted)).deliveries == 1
    job = await client.delivery_jobs.start("resend", wanted)
    assert (await client.delivery_jobs.get(job.id)).filter["state"] == "delivered"
    assert [each.id async for each in client.delivery_jobs.list()] == [job.id]
    assert (await client.delivery_jobs.cancel(job.id)).state in {"done", "cancelled"}
    await client.endpoints.delete(hook.id)


async def _bins(client: AsyncClient) -> None:
    made = await client.bins.create(ttl_seconds=60)
    assert (await client.bins.get(made.id)).script == []
    changed = await client.bins.update(made.id, [Step(status=503, headers=AnswerHeaders("1"))])
    assert changed.script[0].headers == {"Retry-After": "1"}
    await client.bins.clear(made.id)
    await client.bins.delete(made.id)
    with pytest.raises(NotFoundError):
        await client.bins.request(made.id, "req_0000000000000001")
    with pytest.raises(NotFoundError):
        await client.bins.update_request(made.id, "req_0000000000000001", note="gone")


async def _webhooks(client: AsyncClient, place: Place) -> None:
    key = await client.keys.create("account", "customer", account="acme")
    async with AsyncClient(place.url, key.key) as customer:
        made = await customer.webhooks.create(
            {"url": "http://127.0.0.1:65000/", "event_types": ["*"]}
        )
        assert (await customer.webhooks.get(made["id"]))["enabled"] is True
        await customer.webhooks.update(made["id"], {"enabled": False})
        assert [each["enabled"] async for each in customer.webhooks.list(limit=1)] == [False]
        await customer.webhooks.delete(made["id"])


def new_events(count: int, **more: Any) -> list[NewEvent]:
    return [
        NewEvent(account="acme", type="invoice.paid", payload={"n": n}, **more)
        for n in range(count)
    ]


async def test_many_events_are_published_in_order_and_listed_page_by_page(place: Place) -> None:
    async with AsyncClient(place.url, place.key) as client:
        events = new_events(230)
        events[7] = NewEvent(account="acme", type="no.such", payload={})
        told = [each async for each in client.events.publish_many(events)]
        assert [each.event for each in told] == events
        assert [n for n, each in enumerate(told) if not each.accepted] == [7]
        assert told[7].problem is not None
        assert told[7].problem.type == "/problems/unknown_event_type"
        again = [each async for each in client.events.publish_many(events)]
        assert [each.id for each in again] == [each.id for each in told]
        newest = [each.id for each in told if each.accepted][::-1]
        listed = [each.id async for each in client.events.list(account="acme", limit=205)]
        assert listed == newest[:205]
        everything = [each.id async for each in client.events.list(account="acme")]
        assert everything[:229] == newest
        assert [each async for each in client.events.list(limit=0)] == []


async def test_of_many_events_one_that_is_not_json_is_not_sent_and_stops_no_other(
    place: Place,
) -> None:
    events = new_events(3)
    events[1] = NewEvent(account="acme", type="invoice.paid", payload={"t": float("nan")})
    async with AsyncClient(place.url, place.key) as client:
        told = [each async for each in client.events.publish_many(events)]
        assert [each.accepted for each in told] == [True, False, True]
        assert told[1].problem is not None
        assert told[1].problem.errors[0].pointer == "/payload/t"
        assert [each async for each in client.events.publish_many(events[1:2])] == [told[1]]


async def test_an_account_is_erased_by_either_client_and_shows_how_far_that_is(
    place: Place,
) -> None:
    async with AsyncClient(place.url, place.key) as client:
        added = await client.accounts.create("forgotten", project="invoice-maker", name="F")
        begun = await client.accounts.erase("forgotten")
        assert (begun.account, begun.state, begun.ended_at) == (added.id, "running", None)
        with pytest.raises(NotFoundError):
            await client.accounts.get("forgotten")
        assert (await client.accounts.erasure(added.id)).started_at == begun.started_at
        with pytest.raises(NotFoundError):
            await client.accounts.erasure(place.account)

    def blocking() -> None:
        with Client(place.url, place.key) as client:
            again = client.accounts.erase(added.id)
            assert (again.account, again.started_at) == (added.id, begun.started_at)
            assert client.accounts.erasure(added.id).account == added.id

    await asyncio.to_thread(blocking)


async def test_refusals_are_errors_with_all_that_the_problem_says(place: Place) -> None:
    async with AsyncClient(place.url, place.key) as client:
        with pytest.raises(NotFoundError, match="no such endpoint") as missing:
            await client.endpoints.get("ep_0000000000000001")
        assert missing.value.instance.startswith("urn:uuid:")
        with pytest.raises(InvalidError) as invalid:
            await client.endpoints.create("https://10.0.0.1/", ["*"], account="acme")
        assert [fault.pointer for fault in invalid.value.errors] == ["/url"]
        with pytest.raises(InvalidError, match="account must be a str, not int") as number:
            await client.accounts.get(cast("str", 5))
        assert [fault.pointer for fault in number.value.errors] == ["/account"]
        with pytest.raises(ConflictError) as exists:
            await client.accounts.create("acme", project="invoice-maker")
        assert exists.value.code == "account_exists"
        small = await client.accounts.create("small", project="invoice-maker", plan="basic")
        for _ in range(2):
            await client.endpoints.create("http://127.0.0.1:65000/", ["*"], account=small.id)
        with pytest.raises(LimitError) as full:
            await client.endpoints.create("http://127.0.0.1:65000/", ["*"], account=small.id)
        assert full.value.limit == 2
    async with AsyncClient(place.url, "htk_unknown") as stranger:
        with pytest.raises(UnauthorizedError):
            await stranger.projects.list()


async def test_a_missing_server_is_reported() -> None:
    hurried = RetryPolicy(retries=1, first=0.0)
    async with AsyncClient("http://127.0.0.1:9", "htk_x", retry_policy=hurried) as client:
        with pytest.raises(UnreachableError, match="is the server running") as silent:
            await client.publish("acme", "a.b", {}, idempotency_key="mine")
    assert silent.value.sent is False
    assert silent.value.idempotency_key == "mine"


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with AsyncClient(place.url, place.key) as client:
        assert await client.projects.list()
    elsewhere = "http://hooks.example.com"
    async with AsyncClient(elsewhere, place.key, retry_policy=RetryPolicy(retries=0)) as client:
        with pytest.raises(UnreachableError, match="cannot reach"):
            await client.projects.list()


def blocking(place: Place) -> list[str]:
    with Client(place.url, place.key) as client:
        kept = client.bins.create()
        hook = client.endpoints.create(kept.url, ["invoice.*"], account="acme")
        sent = client.publish("acme", "invoice.paid", {"id": "x"})
        many = list(client.events.publish_many(new_events(3)))
        listed = [each.id for each in client.events.list(account="acme", limit=4)]
        client.endpoints.delete(hook.id)
    return [*listed, sent.id, *(each.id for each in many)]


async def test_the_blocking_client_does_the_same(place: Place) -> None:
    found = await asyncio.to_thread(blocking, place)
    assert found[:4] == [found[7], found[6], found[5], found[4]]


async def test_an_account_whose_reference_has_a_slash_is_reached_by_it(place: Place) -> None:
    """``acme/eu`` is one account, and ``acme%2Feu`` may be another."""
    async with AsyncClient(place.url, place.key) as client:
        made = await client.accounts.create("acme/eu", project="invoice-maker")
        other = await client.accounts.create("acme%2Feu", project="invoice-maker")
        assert (await client.accounts.get("acme/eu")).id == made.id
        assert (await client.accounts.get("acme%2Feu")).id == other.id
        changed = await client.accounts.update("acme/eu", plan="pro")
        assert (changed.id, changed.plan) == (made.id, "pro")
        assert (
            await client.accounts.put("acme/eu", project="invoice-maker", name="EU")
        ).id == made.id
        assert (await client.accounts.create_portal_link("acme/eu")).url
        assert (await client.accounts.erase("acme/eu")).account == made.id
        await client.accounts.delete("acme%2Feu")
        with pytest.raises(NotFoundError):
            await client.accounts.get("acme%2Feu")


async def test_lists_are_narrowed_by_time(place: Place) -> None:
    hour = timedelta(hours=1)
    async with AsyncClient(place.url, place.key) as client:
        await client.accounts.create("timed", project="invoice-maker", plan="pro")
        kept = await client.bins.create()
        hook = await client.endpoints.create(kept.url, ["*"], account="timed")
        sent = [(await client.publish("timed", "invoice.paid", {})).id for _ in range(2)]
        await settled(client, sent[0])
        await settled(client, sent[1])
        newest, oldest = [each async for each in client.events.list(account="timed")]
        at = newest.accepted_at
        assert at > oldest.accepted_at
        given = [(at, None, sent[1]), (at - hour, at, sent[0])]
        for since, until, id in given:
            events = client.events.list(account="timed", since=since, until=until)
            assert [each.id async for each in events] == [id]
        times: Any
        for times in ({"until": at - hour}, {"since": (at + hour).isoformat()}):
            assert not [each async for each in client.events.list(account="timed", **times)]
            assert not [each async for each in client.deliveries.list(endpoint=hook.id, **times)]
            assert not [each async for each in client.bins.requests(kept.id, **times)]
            assert not [each async for each in client.audit_log(target=hook.id, **times)]
        times = {"since": at - hour, "until": at + hour}
        assert len([each async for each in client.deliveries.list(endpoint=hook.id, **times)]) == 2
        assert len([each async for each in client.bins.requests(kept.id, **times)]) == 2
        assert len([each async for each in client.audit_log(target=hook.id, **times)]) == 1
