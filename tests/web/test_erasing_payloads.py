"""Erasing an event's payload: its content is gone, and the record stays."""

import pytest
from dashkit import seat
from webkit import Site

from hooktide.domain.ids import read
from hooktide.domain.model import Role, Scope

MARK = "a very private remark"


async def published(site: Site) -> str:
    given = {"account": "acme", "type": "invoice.paid", "payload": {"remark": MARK}}
    accepted = (await site.operator.post("/v1/events", given)).ok(202)
    event: str = accepted["id"]
    return event


@pytest.mark.both_databases
async def test_a_payload_is_erased_and_the_record_stays(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    event = await published(site)
    path = f"/v1/events/{event}"
    before = (await site.operator.get(path)).ok()
    assert before["payload_erased_at"] is None
    erased = (await site.operator.delete(f"{path}/payload")).ok()
    assert erased["payload"] is None
    assert erased["payload_erased_at"] is not None
    gone = {"payload": None, "payload_erased_at": erased["payload_erased_at"]}
    assert (await site.operator.get(path)).ok() == {**before, **gone}
    again = (await site.operator.delete(f"{path}/payload")).ok()
    assert again == erased
    [delivery] = (await site.operator.get(f"/v1/endpoints/{made['id']}/deliveries")).ok()["items"]
    assert (delivery["state"], delivery["reason"]) == ("discarded", "payload erased")
    [entry] = [
        each
        for each in (await site.operator.get("/v1/audit-log")).ok()["items"]
        if each["action"] == "event.erase"
    ]
    assert (entry["target"], entry["detail"]) == (event, "invoice.paid")


@pytest.mark.both_databases
async def test_an_event_without_its_payload_is_not_sent_again(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    event = await published(site)
    (await site.operator.delete(f"/v1/events/{event}/payload")).ok()
    [delivery] = (await site.operator.get(f"/v1/endpoints/{made['id']}/deliveries")).ok()["items"]
    resent = await site.operator.post(f"/v1/deliveries/{delivery['id']}/resend")
    assert (resent.status, resent.code) == (410, "payload_erased")
    wanted = {"what": "event", "event": event}
    replayed = await site.operator.post(f"/v1/endpoints/{made['id']}/replays", wanted)
    assert (replayed.status, replayed.code) == (410, "payload_erased")


async def test_only_those_who_manage_a_project_erase_payloads(site: Site) -> None:
    await site.account()
    event = await published(site)
    customer = await site.key("account", account="acme")
    assert (await customer.delete(f"/v1/events/{event}/payload")).status == 403
    await site.account("defacto", "other")
    stranger = await site.key("project", project="defacto")
    assert (await stranger.delete(f"/v1/events/{event}/payload")).status == 404
    manager = await site.key("project", project="invoice-maker")
    (await manager.delete(f"/v1/events/{event}/payload")).ok()


async def test_a_payload_is_erased_on_its_page(site: Site) -> None:
    await site.account()
    await site.endpoint()
    event = await published(site)
    owner = await seat(site, Role.OWNER)
    path = f"/dashboard/events/{event}"
    assert "private remark" in await owner.page(path)
    (await owner.post(f"{path}/erase")).ok(303)
    page = await owner.page(path)
    assert "The payload was erased" in page
    assert "private remark" not in page
    row = await site.app.store.get_event(Scope(), read("evt", event))
    assert row.event.payload == b"null"
