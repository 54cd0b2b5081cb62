"""Chat endpoints in the APIs, and a whole server with strict fakes of the services."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import chatkit
import pytest
from chatkit import channel
from webkit import RECEIVER, Site, running

from hooktide.actions.deliveries.delivery_log import Line
from hooktide.domain.model import Scope
from hooktide.web.pages.views.delivery import open_delivery

SLACK = "https://hooks.slack.com/services/T0/B0/s3cr3tpart"
SHOWN = "https://hooks.slack.com/services/T0/B0/****"
RULES = {"slack": chatkit.slack, "discord": chatkit.discord, "teams": chatkit.teams}


@pytest.fixture
async def acme(site: Site) -> Site:
    await site.account()
    return site


async def test_a_chats_url_is_recognised_and_never_shown_again(acme: Site) -> None:
    made = await acme.endpoint(url=SLACK)
    assert (made["kind"], made["url"]) == ("slack", SHOWN)
    path = f"/v1/endpoints/{made['id']}"
    assert "s3cr3tpart" not in str((await acme.operator.get(path)).ok())
    assert "s3cr3tpart" not in str((await acme.operator.get("/v1/endpoints")).ok())


async def test_sending_back_a_masked_chat_url_changes_nothing(
    acme: Site,
) -> None:
    path = f"/v1/endpoints/{(await acme.endpoint(url=SLACK))['id']}"
    changed = (await acme.operator.patch(path, {"url": SHOWN, "name": "sales"})).ok()
    assert (changed["kind"], changed["url"], changed["name"]) == ("slack", SHOWN, "sales")
    endpoint = await acme.app.directory.endpoint(int(changed["id"].removeprefix("ep_"), 16))
    assert endpoint.address == SLACK


@pytest.mark.parametrize("given", [{}, {"url": SHOWN}])
async def test_another_kind_needs_the_whole_url_again(acme: Site, given: dict[str, str]) -> None:
    account = (await acme.operator.get("/v1/accounts/acme")).ok()
    customer = await acme.key("account", account=account["id"])
    made = await acme.endpoint(url=SLACK)
    for kind in ("webhook", "discord"):
        for client, path in ((acme.operator, "/v1/endpoints/"), (customer, "/webhooks/")):
            answer = await client.patch(path + made["id"], {"kind": kind, **given})
            assert (answer.code, answer.pointers) == ("invalid_url", ["/url"])
            assert "s3cr3tpart" not in answer.body.decode()
    whole = {"kind": "webhook", "url": SLACK}
    changed = (await acme.operator.patch(f"/v1/endpoints/{made['id']}", whole)).ok()
    assert (changed["kind"], changed["url"]) == ("webhook", SLACK)


@pytest.mark.both_databases
async def test_another_url_makes_it_what_that_is(acme: Site) -> None:
    path = f"/v1/endpoints/{(await acme.endpoint(url=SLACK))['id']}"
    changed = (await acme.operator.patch(path, {"url": RECEIVER})).ok()
    assert (changed["kind"], changed["url"]) == ("webhook", RECEIVER)
    discord = "https://discord.com/api/webhooks/1/abc"
    assert (await acme.operator.patch(path, {"url": discord})).ok()["kind"] == "discord"


@pytest.mark.parametrize(
    ("given", "code", "pointer"),
    [
        (
            {"url": RECEIVER.replace("127.0.0.1", "127.0.0.2"), "kind": "slack"},
            "invalid_kind",
            "/kind",
        ),
        ({"url": SLACK, "kind": "discord"}, "invalid_kind", "/kind"),
        ({"url": SLACK, "kind": "mail"}, "invalid_kind", "/kind"),
        ({"url": SLACK, "kind": "pigeon"}, "invalid_body", "/kind"),
        ({"url": SHOWN}, "invalid_url", "/url"),
    ],
)
async def test_a_kind_that_does_not_fit_is_refused(
    acme: Site, given: dict[str, Any], code: str, pointer: str
) -> None:
    body = {"account": "acme", "event_types": ["*"], **given}
    answer = await acme.operator.post("/v1/endpoints", body)
    assert (answer.code, answer.pointers) == (code, [pointer])


async def test_any_url_may_be_a_plain_webhooks(acme: Site) -> None:
    made = await acme.endpoint(url=SLACK, kind="webhook")
    assert (made["kind"], made["url"]) == ("webhook", SLACK)


async def test_customers_add_chats_in_their_own_words(site: Site) -> None:
    await site.account("defacto", "acme")
    customer = await site.key("account", account="acme")
    given = {"to_url": SLACK, "event_types": ["*"]}
    made = (await customer.post("/webhooks", given)).ok(201)
    assert (made["kind"], made["to_url"]) == ("slack", SHOWN)
    wrong = await customer.post("/webhooks", {**given, "kind": "teams"})
    assert (wrong.code, wrong.pointers) == ("invalid_kind", ["/kind"])


async def test_an_event_type_has_its_words_over_the_api(acme: Site) -> None:
    path = "/v1/event-types/invoice.mine?project=invoice-maker"
    given = {"example": {"number": "17"}, "message": {"text": "Invoice {payload.number}"}}
    made = (await acme.operator.put(path, given)).ok()
    assert made["message"] == {"text": "Invoice {payload.number}", "link": "", "fields": []}
    given["message"]["text"] = "Invoice {payload.nummer}"
    answer = await acme.operator.put(path, given)
    assert (answer.code, answer.pointers) == ("invalid_event_type", ["/message/text"])


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
        await site.account()
        yield site


async def publish(site: Site, count: int) -> None:
    types = (await site.operator.get("/v1/event-types?project=invoice-maker")).ok()["items"]
    for number in range(count):
        kind = types[number % len(types)]
        event = {
            "account": "acme",
            "type": kind["name"],
            "payload": {**kind["example"], "number": f"n{number}n <!channel> & *"},
        }
        if kind["transition"]:
            event["transition"] = kind["transition"]
        (await site.operator.post("/v1/events", event)).ok(202)


async def delivered(site: Site, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            found = await site.operator.get("/v1/deliveries?state=delivered&limit=100")
            if len(found.ok()["items"]) == count:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", RULES)
async def test_a_strict_service_takes_all_it_is_sent_at_the_pace_it_asks_for(
    one: Site, kind: str
) -> None:
    async with channel(RULES[kind], asyncio.get_running_loop().time) as chat:
        await one.endpoint(url=chat.url, kind=kind)
        await publish(one, 12)
        await delivered(one, 12)
        assert chat.refused == []
        assert len(chat.taken) <= 4
        texts = str(chat.taken).replace("\\", "")
        assert [f"n{number}n" in texts for number in range(12)] == [True] * 12
        assert not any(b"signature" in head.lower() for head in chat.heads)


async def test_a_test_is_marked_as_one_and_answers_with_what_the_service_said(one: Site) -> None:
    async with channel(chatkit.slack, asyncio.get_running_loop().time) as chat:
        made = await one.endpoint(url=chat.url, kind="slack")
        path = f"/v1/endpoints/{made['id']}/test"
        tested = (await one.operator.post(path, {})).ok()
        assert (tested["status"], tested["response_body"]) == ("delivered", "ok")
        assert "s3cr3tpart" not in str(tested)
        assert chat.taken[0]["text"].startswith("Test: ")
        assert (await one.operator.post(path, {})).ok()["status"] == "delivered"
        assert chat.refused == []


async def test_the_log_shows_a_message_and_its_head_without_the_secret(one: Site) -> None:
    async with channel(chatkit.slack, asyncio.get_running_loop().time) as chat:
        await one.endpoint(url=chat.url, kind="slack")
        await publish(one, 1)
        await delivered(one, 1)
        store = one.app.store
        [delivery] = (await store.list_deliveries(Scope(), None, 1)).items
        attempts = await store.list_attempts(Scope(), delivery.id)
        event = (await store.get_event(Scope(), delivery.event_id)).event
        endpoint = await store.get_endpoint(Scope(), delivery.endpoint_id)
        project = (await store.get_project_by_id(delivery.project_id)).project
        line = Line(delivery, attempts[-1])
        opened = open_delivery(
            line.delivery, attempts, event, endpoint, project, project.plans[0], 0
        )
        assert json.loads(opened.body.text) == chat.taken[0]
        assert not opened.changed
        assert opened.tries[0].request_line == "POST /services/T000/B000/**** HTTP/1.1"
        assert "s3cr3tpart" not in str(opened)
