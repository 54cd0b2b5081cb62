"""Operational events end to end: each is published once and delivered in every supported form."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatkit
import msgspec
import pytest
from chatkit import Channel, channel
from postgreskit import database
from smtpkit import Relay, relaying
from webkit import RECEIVER, Site, running

from hooktide.dialects import load
from hooktide.domain.ids import read
from hooktide.domain.json.payload import check_schema
from hooktide.domain.model import Scope
from hooktide.domain.operational_events import EVERYTHING, PROJECT, Type, limit_reached, listener_of
from hooktide.engine.periodic.operational_events import OperationalEventPublisher

NAME = "invoice-maker"
LISTENER = listener_of(NAME)


@pytest.fixture
async def ready(site: Site) -> Site:
    """Operational events are enabled, and there is a customer with an endpoint."""
    await site.account()
    (await site.operator.apply(PROJECT)).ok()
    await listener(site, EVERYTHING)
    return site


async def listener(site: Site, reference: str) -> None:
    """Wait until the account of this reference exists. It is created automatically."""
    async with asyncio.timeout(30):
        while (await site.operator.get(f"/v1/accounts/{reference}")).status != 200:
            await asyncio.sleep(0.02)


async def events_of(site: Site, reference: str, count: int) -> list[dict[str, Any]]:
    """Wait until an account has this many events, and return them, oldest first."""
    async with asyncio.timeout(30):
        while True:
            answer = await site.operator.get(f"/v1/events?account={reference}&limit=100")
            items: list[dict[str, Any]] = answer.ok()["items"]
            if len(items) >= count:
                return items[::-1]
            await asyncio.sleep(0.02)


async def settled(site: Site) -> None:
    """Wait until all operational events are published."""
    async with asyncio.timeout(30):
        while await site.app.store.operational_events(1):
            await asyncio.sleep(0.02)


@pytest.mark.both_databases
async def test_what_happens_is_an_event_of_the_projects_account_and_of_that_for_everything(
    ready: Site,
) -> None:
    made = await ready.endpoint(name="books")
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/rotate")).ok()
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
    for reference in (LISTENER, EVERYTHING):
        first, second = await events_of(ready, reference, 2)
        assert (first["type"], second["type"]) == ("secret.rotated", "endpoint.disabled")
        found = (await ready.operator.get(f"/v1/events/{second['id']}")).ok()
        assert found["payload"] == {
            "project": NAME,
            "account": {"id": made["account"], "reference": "acme", "name": ""},
            "endpoint": {"id": made["id"], "url": RECEIVER, "name": "books", "kind": "webhook"},
            "reason": "disabled by the provider",
        }


@pytest.mark.both_databases
async def test_each_payload_keeps_to_its_types_schema(ready: Site) -> None:
    text = f"""
name = "{NAME}"
disable_after = 1
[plans.basic]
endpoints = 1
retries = 0
[event_types."invoice.paid"]
"""
    (await ready.operator.apply(NAME, text)).ok()
    made = await ready.endpoint()
    refused = await ready.operator.post(
        "/v1/endpoints", {"account": "acme", "url": RECEIVER, "event_types": ["*"]}
    )
    assert refused.code == "plan_limit_reached"
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/rotate")).ok()
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    (await ready.operator.post("/v1/events", event)).ok(202)  # nothing listens at that port
    found = await events_of(ready, LISTENER, 5)
    kinds = {kind.name: kind for kind in load(PROJECT).event_types}
    assert {each["type"] for each in found} == {each.value for each in Type} == set(kinds)
    for each in found:
        row = await ready.app.store.get_event(Scope(), read("evt", each["id"]))
        check_schema(kinds[each["type"]], row.event.payload)


@pytest.mark.both_databases
async def test_telling_twice_is_telling_once(ready: Site) -> None:
    made = await ready.endpoint()
    event = limit_reached(read("acc", made["account"]), "endpoints", 1, ready.app.clock())
    publisher = OperationalEventPublisher(ready.app.store, ready.app.directory, ready.app.clock)
    for _ in range(3):  # as if the publisher had died before deleting it
        await ready.app.store.add_operational_event(event)
        await asyncio.gather(publisher.publish(), publisher.publish())
    await settled(ready)
    assert len(await events_of(ready, LISTENER, 1)) == 1
    assert len(await events_of(ready, EVERYTHING, 1)) == 1


async def test_a_listener_that_fails_is_not_told_of(ready: Site) -> None:
    given = {"account": EVERYTHING, "url": RECEIVER, "event_types": ["*"]}
    deaf = (await ready.operator.post("/v1/endpoints", given)).ok(201)
    (await ready.operator.post(f"/v1/endpoints/{deaf['id']}/rotate")).ok()
    made = await ready.endpoint()
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/rotate")).ok()
    await events_of(ready, EVERYTHING, 1)
    (await ready.operator.post(f"/v1/endpoints/{deaf['id']}/disable")).ok()
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/rotate")).ok()
    found = await events_of(ready, EVERYTHING, 2)
    await settled(ready)
    assert [each["type"] for each in found] == ["secret.rotated"] * 2


@pytest.mark.both_databases
async def test_turned_off_nothing_is_kept_any_more(ready: Site) -> None:
    (await ready.operator.delete(f"/v1/projects/{PROJECT}")).ok(204)
    made = await ready.endpoint()
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
    assert await ready.app.store.operational_events(1) == []
    assert (await ready.operator.get(f"/v1/accounts/{EVERYTHING}")).status == 404


async def test_event_types_that_the_operator_left_out_are_not_published(ready: Site) -> None:
    text = f'name = "{PROJECT}"\n[event_types."secret.rotated"]\n'
    (await ready.operator.apply(PROJECT, text)).ok()
    made = await ready.endpoint(url=f"{RECEIVER}?token=s3cret")
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
    (await ready.operator.post(f"/v1/endpoints/{made['id']}/rotate")).ok()
    [event] = await events_of(ready, LISTENER, 1)
    await settled(ready)
    [event] = await events_of(ready, LISTENER, 1)
    found = (await ready.operator.get(f"/v1/events/{event['id']}")).ok()
    assert (found["type"], found["payload"]["endpoint"]["url"]) == ("secret.rotated", RECEIVER)


@pytest.fixture
async def slack() -> AsyncIterator[Channel]:
    async with channel(chatkit.slack, asyncio.get_running_loop().time) as made:
        yield made


async def test_the_operator_reads_in_slack_what_happened(tmp_path: Path, slack: Channel) -> None:
    async with running(tmp_path) as site:
        await site.account()
        (await site.operator.apply(PROJECT)).ok()
        await listener(site, EVERYTHING)
        given = {
            "account": EVERYTHING,
            "url": slack.url,
            "kind": "slack",
            "event_types": ["endpoint.*"],
        }
        (await site.operator.post("/v1/endpoints", given)).ok(201)
        made = await site.endpoint()
        (await site.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
        async with asyncio.timeout(30):
            while not slack.taken:
                await asyncio.sleep(0.02)
        assert slack.taken[0]["blocks"][0]["text"]["text"] == (
            f"{NAME}: the endpoint {RECEIVER} of acme was disabled: disabled by the provider"
        )
        assert slack.refused == []


OPS = {"account": EVERYTHING, "url": "mailto:ops@example.com", "event_types": ["*"]}
FROM = "hooktide@example.com"


@asynccontextmanager
async def mailing(folder: Path, relay: Relay) -> AsyncIterator[Site]:
    """Run a server that sends mail through a relay, and enable operational events."""
    url = f"smtp://127.0.0.1:{relay.port}"
    async with running(folder, smtp_url=url, mail_from=FROM) as site:
        await site.account()
        (await site.operator.apply(PROJECT)).ok()
        await listener(site, EVERYTHING)
        yield site


async def test_the_operator_is_mailed_what_happened(tmp_path: Path) -> None:
    async with relaying() as relay, mailing(tmp_path, relay) as site:
        ops = (await site.operator.post("/v1/endpoints", OPS)).ok(201)
        assert (ops["kind"], ops["url"]) == ("mail", "mailto:ops@example.com")
        for more in ({}, {"kind": "mail"}):  # customers cannot send mail
            customers = await site.operator.post(
                "/v1/endpoints", {**OPS, "account": "acme", **more}
            )
            assert customers.status == 422
        made = await site.endpoint()
        (await site.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
        async with asyncio.timeout(30):
            while not relay.taken:
                await asyncio.sleep(0.02)
        said = f"{NAME}: the endpoint {RECEIVER} of acme was disabled: disabled by the provider"
        assert relay.taken[0].mail["Subject"] == said
        assert relay.taken[0].text.startswith(said)
        tested = (await site.operator.post(f"/v1/endpoints/{ops['id']}/test", {})).ok()
        assert (tested["status"], tested["response_status"]) == ("delivered", 250)
        assert ["to", "ops@example.com"] in tested["request_headers"]
        assert relay.faults == []


async def test_a_relay_that_refuses_the_address_disables_the_endpoint(tmp_path: Path) -> None:
    stand_in = Relay(script={"RCPT": [b"550 5.1.1 unknown"] * 9})
    async with relaying(stand_in) as relay, mailing(tmp_path, relay) as site:
        ops = (await site.operator.post("/v1/endpoints", OPS)).ok(201)
        made = await site.endpoint()
        (await site.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
        path = f"/v1/endpoints/{ops['id']}"
        async with asyncio.timeout(30):
            while (found := (await site.operator.get(path)).ok())["enabled"]:
                await asyncio.sleep(0.02)
        assert found["disabled_reason"] == "the mail relay refuses the address (550)"


async def test_only_operational_events_go_by_mail_and_only_with_a_relay(ready: Site) -> None:
    refused = await ready.operator.post("/v1/endpoints", OPS)
    assert (refused.code, "--smtp-url" in refused.json["detail"]) == ("invalid_kind", True)
    for more in ({"kind": "mail"}, {"kind": "mail", "url": RECEIVER}):
        customers = {**OPS, "account": "acme", **more}
        assert (await ready.operator.post("/v1/endpoints", customers)).code == "invalid_kind"
    customers = {**OPS, "account": "acme"}
    assert (await ready.operator.post("/v1/endpoints", customers)).code == "invalid_url"


async def test_operational_events_from_before_a_stop_are_published_by_the_next_server(
    tmp_path: Path,
) -> None:
    async with database() as url:
        async with running(tmp_path, url) as site:
            await site.account()
            (await site.operator.apply(PROJECT)).ok()
            await listener(site, EVERYTHING)
            await site.app.maintenance.stop()  # nothing is published from now on
            made = await site.endpoint()
            (await site.operator.post(f"/v1/endpoints/{made['id']}/disable")).ok()
            [(_, kept)] = await site.app.store.operational_events(10)
            assert msgspec.to_builtins(kept)["about"] == {"reason": "disabled by the provider"}
        async with running(tmp_path, url) as site:
            [event] = await events_of(site, LISTENER, 1)
            assert event["type"] == "endpoint.disabled"
