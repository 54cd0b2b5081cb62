"""Replays in the API: counted, started, followed and cancelled."""

import asyncio
from typing import Any

import pytest
from webkit import Site
from wire import keeping, receiving

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SINCE = "2026-01-01T00:00:00Z"


async def published(site: Site, count: int) -> list[str]:
    event = {"account": "acme", "type": "invoice.created", "payload": {"id": 1}}
    told = (await site.operator.post("/v1/events", [event] * count)).ok(202)
    return [result["id"] for result in told["results"]]


async def ended(site: Site, replay: str) -> Any:
    """Wait until a replay has ended, and return it."""
    async with asyncio.timeout(30):
        while True:
            found = (await site.operator.get(f"/v1/replays/{replay}")).ok()
            if found["state"] != "running":
                return found
            await asyncio.sleep(0.05)


@pytest.mark.both_databases
async def test_what_an_endpoint_missed_while_it_was_off_is_counted_and_then_sent(
    site: Site,
) -> None:
    await site.account()
    async with receiving(keeping(OK)) as receiver:
        made = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/hook")
        path = f"/v1/endpoints/{made['id']}"
        (await site.operator.post(f"{path}/disable")).ok()
        events = await published(site, 3)
        wanted = {"what": "missed", "since": SINCE}
        counted = (await site.operator.post(f"{path}/replays", wanted | {"dry_run": True})).ok(202)
        assert counted == {"count": {"events": 3, "at_least": False}, "replay": None}
        refused = await site.operator.post(f"{path}/replays", wanted)
        assert (refused.status, refused.code) == (409, "endpoint_disabled")
        (await site.operator.post(f"{path}/enable")).ok()

        begun = (await site.operator.post(f"{path}/replays", wanted)).ok(202)["replay"]
        assert (begun["what"], begun["endpoint"]) == ("missed", made["id"])
        done = await ended(site, begun["id"])
        assert (done["state"], done["made"], done["reason"]) == ("done", 3, "")
        async with asyncio.timeout(30):
            while len(receiver.requests) < 3:
                await asyncio.sleep(0.02)
    for event in events:
        assert any(event.encode() in request for request in receiver.requests)
    assert (await site.operator.get(f"{path}/replays")).ok()["items"] == [done]
    items = (await site.operator.get(f"{path}/deliveries")).ok()["items"]
    assert sorted(item["event"] for item in items) == sorted(events)
    assert {item["origin"] for item in items} == {"replay"}


@pytest.mark.both_databases
async def test_a_replay_that_has_ended_stays_as_it_is_when_it_is_cancelled(site: Site) -> None:
    await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}"
    [event] = await published(site, 1)
    begun = (await site.operator.post(f"{path}/replays", {"what": "event", "event": event})).ok(202)
    assert begun["count"] == {"events": 1, "at_least": False}
    done = await ended(site, begun["replay"]["id"])
    assert (done["event"], done["since"], done["looked_until"]) == (event, None, None)
    assert (await site.operator.post(f"/v1/replays/{done['id']}/cancel")).ok() == done


@pytest.mark.parametrize(
    ("given", "code", "pointer"),
    [
        ({"what": "failed"}, "invalid_replay", "/since"),
        ({"what": "event"}, "invalid_replay", "/event"),
        ({"what": "missed", "since": "yesterday"}, "invalid_time", "/since"),
        ({"what": "missed", "since": SINCE, "until": SINCE}, "invalid_replay", "/until"),
        ({"what": "event", "event": "EVENT", "since": SINCE}, "invalid_replay", "/since"),
        ({"what": "failed", "event": "EVENT", "since": SINCE}, "invalid_replay", "/event"),
        ({"what": "everything", "since": SINCE}, "invalid_body", "/what"),
    ],
)
async def test_what_is_not_fully_said_is_refused(
    site: Site, given: dict[str, str], code: str, pointer: str
) -> None:
    await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}"
    [event] = await published(site, 1)
    given = {name: event if value == "EVENT" else value for name, value in given.items()}
    refused = await site.operator.post(f"{path}/replays", given)
    assert (refused.status, refused.code, refused.pointers) == (422, code, [pointer])


@pytest.mark.both_databases
async def test_an_event_of_another_account_is_not_there(site: Site) -> None:
    await site.account()
    await site.account(reference="other")
    path = f"/v1/endpoints/{(await site.endpoint('other'))['id']}/replays"
    [event] = await published(site, 1)
    for known in (event, "evt_0000000000000001"):
        answer = await site.operator.post(path, {"what": "event", "event": known})
        assert answer.code == "not_found"
