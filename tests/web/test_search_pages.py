"""One box on the pages: what it finds, where it leads, what it says, and for whom."""

from typing import Any

import pytest
from dashkit import Seat, seat
from storekit import at_last
from webkit import Answer, Site

from hooktide.dialects import read_shipped
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Role

INDEXED = 'index = ["invoice.number", "customer.name"]\n'


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


def location(answer: Answer) -> str:
    assert answer.status == 303, (answer.status, answer.body[:500])
    return answer.headers["location"]


async def indexed(site: Site) -> None:
    (await site.operator.apply("invoice-maker", INDEXED + read_shipped("invoice-maker"))).ok()


async def publish(site: Site, number: str, name: str = "Northwind", account: str = "acme") -> str:
    payload = {"invoice": {"number": number}, "customer": {"name": name}}
    given = {"account": account, "type": "invoice.paid", "payload": payload}
    return str((await site.operator.post("/v1/events", given)).ok(202)["id"])


async def portal(site: Site, account: str = "acme") -> str:
    made = (await site.operator.post(f"/v1/accounts/{account}/portal-links", {})).ok(201)
    return "/portal/" + str(made["url"]).rpartition("/portal/")[2]


async def shown(site: Site, owner: Seat, text: str) -> str:
    return await owner.page(f"/dashboard/search?q={text}")


async def test_the_only_event_that_a_value_finds_opens(site: Site, owner: Seat) -> None:
    await site.account()
    await indexed(site)
    event = await publish(site, "INV-2026-024511")
    await publish(site, "INV-2026-024512")
    assert location(await owner.get("/dashboard/search?q=024511")) == f"/dashboard/events/{event}"
    page = await owner.page(f"/dashboard/events/{event}")
    assert "<h1>INV-2026-024511 · Northwind</h1>" in page
    assert "<title>INV-2026-024511 · Northwind" in page


async def test_several_events_are_listed_by_what_they_are_named_after(
    site: Site, owner: Seat
) -> None:
    await site.account()
    await indexed(site)
    await publish(site, "INV-1")
    await publish(site, "INV-2", "North & South")
    page = await shown(site, owner, "north")
    assert ">INV-1 · Northwind</a>" in page
    assert ">INV-2 · North &amp; South</a>" in page
    assert "<code>invoice.number</code>, <code>customer.name</code>" in page
    assert "for all events that are kept" in page
    project = await owner.page("/dashboard/projects/invoice-maker")
    assert "<code>invoice.number</code>, <code>customer.name</code>; <a" in project
    for path in ("/dashboard/events", "/dashboard/events?search=inv-1"):
        assert "INV-1 · Northwind" in await owner.page(path)
    assert "INV-2" not in await owner.page("/dashboard/events?search=inv-1")


async def test_the_box_finds_accounts_hosts_and_event_types(site: Site, owner: Seat) -> None:
    await site.account(reference="northwind-7")
    await site.endpoint(account="northwind-7", url="https://hooks.northwind.example.com/in")
    page = await shown(site, owner, "northwind")
    assert ">northwind-7</a>" in page
    assert "hooks.northwind.example.com" in page
    page = await shown(site, owner, "invoice.pa")
    assert '<a href="/dashboard/events?type=invoice.paid&amp;project=invoice-maker">' in page
    assert "a project names the paths" in page


async def test_what_is_too_broad_or_nothing_is_said(site: Site, owner: Seat) -> None:
    await site.account()
    await indexed(site)
    assert "Nothing was found" in await shown(site, owner, "024511")
    assert "Type an id" in await owner.page("/dashboard/search")
    blank = await owner.get("/dashboard/events?search=%E2%80%8B")
    assert blank.status == 422
    assert "white space" in blank.body.decode()
    for number in range(101):
        await publish(site, f"INV-{number}")

    async def is_said() -> None:
        if "More than 100 different values" not in await shown(site, owner, "inv"):
            raise UnavailableError("not indexed yet")

    await at_last(is_said)
    page = (await owner.get("/dashboard/events?search=inv")).body.decode()
    assert "give more of it" in page


async def test_older_events_are_indexed_at_the_push_of_a_button(site: Site, owner: Seat) -> None:
    await site.account()
    event = await publish(site, "INV-2026-024511")
    await indexed(site)
    page = await owner.page("/dashboard/search")
    assert "for events since" in page
    assert "Index older events" in page
    viewer = await seat(site, Role.VIEWER)
    assert "Index older events" not in await viewer.page("/dashboard/search")
    said = await owner.follow("/dashboard/projects/invoice-maker/reindex")
    assert "older events are being indexed" in said

    async def is_found() -> None:
        answer = await owner.get("/dashboard/search?q=024511")
        if answer.status != 303:
            raise UnavailableError("not yet")
        assert location(answer) == f"/dashboard/events/{event}"

    await at_last(is_found)


async def test_a_list_of_deliveries_names_events_and_so_does_an_open_one(
    site: Site, owner: Seat
) -> None:
    await site.account()
    await indexed(site)
    await site.endpoint()
    await publish(site, "INV-1")
    [delivery] = (await site.operator.get("/v1/deliveries")).ok()["items"]

    async def is_named() -> None:
        if "INV-1 · Northwind" not in await owner.page("/dashboard/deliveries"):
            raise UnavailableError("not indexed yet")

    await at_last(is_named)
    opened = await owner.page(f"/dashboard/deliveries?delivery={delivery['id']}")
    assert '<h2 id="drawer-title">INV-1 · Northwind</h2>' in opened


async def test_a_customer_finds_what_is_theirs_and_nothing_else(site: Site) -> None:
    await site.account()
    await site.account(reference="umbrella")
    await indexed(site)
    mine = await site.endpoint(url="https://hooks.northwind.example.com/in")
    theirs = await site.endpoint(account="umbrella", url="https://hooks.umbrella.example.com/in")
    event = await publish(site, "INV-1")
    other = await publish(site, "INV-2", account="umbrella")
    base, client = await portal(site), site.client("")

    async def found(text: str) -> Any:
        return await client.call("GET", f"{base}/search?q={text}")

    assert location(await found("inv-1")) == f"{base}/deliveries?event={event}"
    assert location(await found(event)) == f"{base}/deliveries?event={event}"
    assert location(await found(mine["id"])) == f"{base}/endpoints/{mine['id']}"
    for text in ("inv-2", other, theirs["id"], "umbrella", "acme"):
        answer = await found(text)
        assert (answer.status, "Nothing was found" in answer.body.decode()) == (200, True), text
    page = (await found("hooks")).body.decode()
    assert "northwind.example.com" in page
    assert "umbrella" not in page
    assert "invoice.paid" in (await found("invoice")).body.decode()
    assert 'role="search"' in (await found("")).body.decode()
