"""Events, deliveries and attempts in the API."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from webkit import Site
from wire import keeping, receiving

from hooktide.dialects import read_shipped

PAYLOAD = b'{"total": 1.10, "big": 123456789012345678901, "e": 1E2, "a": 1, "a": 2}'


async def _publish(site: Site, payload: bytes = PAYLOAD, **more: str) -> str:
    extra = "".join(f',"{name}":"{value}"' for name, value in more.items()).encode()
    body = b'{"account":"acme","type":"invoice.paid","payload":' + payload + extra + b"}"
    answer = await site.operator.call("POST", "/v1/events", body=body)
    return str(answer.ok(202)["id"])


@pytest.mark.both_databases
async def test_an_event_shows_its_payload_byte_for_byte(site: Site) -> None:
    await site.account()
    event_id = await _publish(site, occurred_at="2026-01-31T12:00:00+02:00")
    answer = await site.operator.get(f"/v1/events/{event_id}")
    assert PAYLOAD in answer.body
    assert answer.json["occurred_at"] == "2026-01-31T10:00:00.000000Z"
    assert answer.json["deliveries"] == 0
    [listed] = (await site.operator.get("/v1/events?type=invoice.paid&account=acme")).ok()["items"]
    assert listed["id"] == event_id
    assert "payload" not in listed
    assert (await site.operator.get("/v1/events?type=invoice.created")).ok()["items"] == []


@pytest.fixture
async def delivered(site: Site) -> Site:
    """One event, delivered to one endpoint that returns 2xx."""
    await site.account()
    async with receiving(keeping(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as receiver:
        hook = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        event_id = await _publish(site)
        site.made = {"event": event_id, "hook": hook}
        await _settled(site)
    return site


async def _settled(site: Site) -> None:
    async with asyncio.timeout(30):
        while True:
            page = (await site.operator.get("/v1/deliveries?state=pending")).ok()
            if not page["items"]:
                return
            await site.app.store.recorded()
            await asyncio.sleep(0.005)


@pytest.mark.both_databases
async def test_a_delivery_is_found_by_event_endpoint_account_and_state(delivered: Site) -> None:
    event, hook = delivered.made["event"], delivered.made["hook"]
    for query in (
        "",
        f"?event={event}",
        f"?endpoint={hook['id']}",
        f"?account={hook['account']}&state=delivered",
    ):
        [found] = (await delivered.operator.get(f"/v1/deliveries{query}")).ok()["items"]
        assert (found["event"], found["endpoint"]) == (event, hook["id"])
        assert (found["state"], found["attempts"]) == ("delivered", 1)
        assert found["next_attempt_at"] is None
        assert found["ended_at"] > found["created_at"]
        assert (await delivered.operator.get(f"/v1/deliveries/{found['id']}")).ok() == found
    for query in ("?state=failed", "?event=evt_0000000000000001"):
        assert (await delivered.operator.get(f"/v1/deliveries{query}")).ok()["items"] == []


@pytest.mark.both_databases
async def test_an_attempt_shows_what_went_out_and_what_came_back(delivered: Site) -> None:
    [found] = (await delivered.operator.get("/v1/deliveries")).ok()["items"]
    shown = (await delivered.operator.get(f"/v1/deliveries/{found['id']}/attempts")).ok()
    [attempt] = shown["items"]
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 200, "")
    assert ["webhook-id", delivered.made["event"]] in attempt["request_headers"]
    assert attempt["response_headers"] == [["content-length", "2"]]
    assert (attempt["response_body"], attempt["response_body_encoding"]) == ("ok", "utf-8")


@pytest.mark.both_databases
async def test_sending_again_makes_a_new_delivery_of_the_same_event(delivered: Site) -> None:
    [old] = (await delivered.operator.get("/v1/deliveries")).ok()["items"]
    new = (await delivered.operator.post(f"/v1/deliveries/{old['id']}/resend")).ok(202)
    assert new["id"] != old["id"]
    assert (new["event"], new["origin"]) == (old["event"], "resend")
    path = f"/v1/endpoints/{old['endpoint']}"
    (await delivered.operator.post(f"{path}/disable")).ok()
    answer = await delivered.operator.post(f"/v1/deliveries/{old['id']}/resend")
    assert answer.code == "endpoint_disabled"
    (await delivered.operator.delete(path)).ok(204)
    answer = await delivered.operator.post(f"/v1/deliveries/{old['id']}/resend")
    assert answer.code == "endpoint_deleted"
    assert (await delivered.operator.get(f"{path}/deliveries")).code == "not_found"
    assert (await delivered.operator.get(f"/v1/deliveries/{old['id']}")).status == 200


@pytest.mark.parametrize("state", ["pending", "held", "delivered", "failed", "discarded"])
@pytest.mark.both_databases
async def test_every_state_is_a_filter(site: Site, state: str) -> None:
    assert (await site.operator.get(f"/v1/deliveries?state={state}")).ok()["items"] == []


@pytest.mark.parametrize(
    ("body", "shown", "encoding"),
    [
        (b"x" + "€".encode() * 2000, "x" + "€" * 1365, "utf-8"),  # 4 KB hold 1,365 of them
        (b"x" * 4095 + "é".encode(), "x" * 4095, "utf-8"),
        (b"xx" + "é".encode() * 2047, "xx" + "é" * 2047, "utf-8"),
        (b"x\xc3", "eMM=", "base64"),
    ],
)
async def test_an_answer_that_was_cut_inside_a_character_is_text(
    site: Site, body: bytes, shown: str, encoding: str
) -> None:
    await site.account()
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    async with receiving(keeping(answer)) as receiver:
        hook = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        test = {"event_type": "invoice.paid"}
        told = (await site.operator.post(f"/v1/endpoints/{hook['id']}/test", test)).ok()
    path = f"/v1/deliveries/{told['delivery']}/attempts"
    [attempt] = (await site.operator.get(path)).ok()["items"]
    for each in (told, attempt):
        assert (each["response_body"], each["response_body_encoding"]) == (shown, encoding)
    assert attempt["response_truncated"] is (len(body) > 4096)


@pytest.fixture
async def waiting(site: Site) -> AsyncIterator[Site]:
    """A delivery whose first attempt failed, with a pending retry."""
    await site.account()
    async with receiving(keeping(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as receiver:
        hook = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        await _publish(site)
        async with asyncio.timeout(30):
            while not (found := await _attempted(site)):
                await asyncio.sleep(0.005)
        site.made = {"delivery": found[0], "hook": hook}
        yield site


async def _attempted(site: Site, attempts: int = 1) -> list[str]:
    page = (await site.operator.get("/v1/deliveries?state=pending")).ok()
    await site.app.store.recorded()
    return [
        each["id"]
        for each in page["items"]
        if each["attempts"] == attempts and each["next_attempt_at"]
    ]


@pytest.mark.both_databases
async def test_a_retry_that_is_asked_for_is_made_at_once(waiting: Site) -> None:
    path = f"/v1/deliveries/{waiting.made['delivery']}"
    before = (await waiting.operator.get(path)).ok()
    told = (await waiting.operator.post(f"{path}/retry")).ok(202)
    assert told["state"] == "pending"
    async with asyncio.timeout(30):
        while not await _attempted(waiting, 2):
            await asyncio.sleep(0.005)
    after = (await waiting.operator.get(path)).ok()
    assert after["next_attempt_at"] > before["next_attempt_at"]


@pytest.mark.both_databases
async def test_a_delivery_is_stopped_and_then_neither_retried_nor_stopped_for_another_reason(
    waiting: Site,
) -> None:
    path = f"/v1/deliveries/{waiting.made['delivery']}"
    stopped = (await waiting.operator.post(f"{path}/stop")).ok()
    assert (stopped["state"], stopped["reason"]) == ("discarded", "stopped by hand")
    assert (await waiting.operator.post(f"{path}/stop")).ok() == stopped
    assert (await waiting.operator.post(f"{path}/retry")).code == "delivery_ended"
    hook = (await waiting.operator.get(f"/v1/endpoints/{waiting.made['hook']['id']}")).ok()
    assert hook["enabled"]


async def test_what_was_delivered_is_neither_retried_nor_stopped(delivered: Site) -> None:
    [found] = (await delivered.operator.get("/v1/deliveries")).ok()["items"]
    for act in ("retry", "stop"):
        answer = await delivered.operator.post(f"/v1/deliveries/{found['id']}/{act}")
        assert answer.code == "delivery_ended"


async def test_sending_again_enables_the_endpoint_where_that_is_asked_for(delivered: Site) -> None:
    [found] = (await delivered.operator.get("/v1/deliveries")).ok()["items"]
    hook = f"/v1/endpoints/{found['endpoint']}"
    (await delivered.operator.post(f"{hook}/disable")).ok()
    path = f"/v1/deliveries/{found['id']}/resend"
    assert (await delivered.operator.post(path)).code == "endpoint_disabled"
    assert (await delivered.operator.post(f"{path}?enable=true")).ok(202)["origin"] == "resend"
    assert (await delivered.operator.get(hook)).ok()["enabled"]


async def test_a_held_delivery_is_not_sent_again_and_its_endpoint_stays_disabled(
    site: Site,
) -> None:
    text = read_shipped("invoice-maker").replace("_hour = 100", "_hour = 1")
    (await site.operator.apply("invoice-maker", text)).ok()
    given = {"project": "invoice-maker", "reference": "acme"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    hook = f"/v1/endpoints/{(await site.endpoint())['id']}"
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    for _ in range(2):
        (await site.operator.post("/v1/events", event)).ok(202)
    [held] = (await site.operator.get("/v1/deliveries?state=held")).ok()["items"]
    (await site.operator.post(f"{hook}/disable")).ok()
    answer = await site.operator.post(f"/v1/deliveries/{held['id']}/resend?enable=true")
    assert answer.code == "delivery_held"
    assert not (await site.operator.get(hook)).ok()["enabled"]


async def test_sending_again_to_a_deleted_endpoint_is_refused_alike_where_it_may_be_enabled(
    delivered: Site,
) -> None:
    [found] = (await delivered.operator.get("/v1/deliveries")).ok()["items"]
    (await delivered.operator.delete(f"/v1/endpoints/{found['endpoint']}")).ok(204)
    for query in ("", "?enable=true"):
        answer = await delivered.operator.post(f"/v1/deliveries/{found['id']}/resend{query}")
        assert answer.code == "endpoint_deleted"
