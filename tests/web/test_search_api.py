"""Search over the API: for whom, how far, and what is said where it cannot be."""

from typing import Any
from urllib.parse import quote

import pytest
from storekit import at_last
from webkit import Answer, Client, Site

from hooktide.dialects import read_shipped
from hooktide.domain.errors import UnavailableError

INDEXED = 'index = ["invoice.number", "customer.name"]\n'


async def indexed(site: Site, paths: str = INDEXED) -> None:
    """Have the project of the tests name paths."""
    (await site.operator.apply("invoice-maker", paths + read_shipped("invoice-maker"))).ok()


async def publish(site: Site, number: Any, name: str = "", account: str = "acme") -> str:
    payload = {"invoice": {"number": number}, "customer": {"name": name}}
    given = {"account": account, "type": "invoice.paid", "payload": payload}
    return str((await site.operator.post("/v1/events", given)).ok(202)["id"])


async def found(client: Client, text: str, more: str = "") -> list[str]:
    answer = await client.get(f"/v1/events?search={quote(text)}{more}")
    return [each["id"] for each in answer.ok()["items"]]


@pytest.mark.both_databases
async def test_events_are_found_by_indexed_values(site: Site) -> None:
    await site.account()
    await indexed(site)
    first = await publish(site, "INV-2026-024511", "Northwind")
    second = await publish(site, "INV-2026-024512", "Northwind")
    assert await found(site.operator, "024511") == [first]
    assert await found(site.operator, "northw") == [second, first]
    assert await found(site.operator, "northw", "&type=invoice.paid") == [second, first]
    assert await found(site.operator, "northw", "&type=invoice.sent") == []
    assert await found(site.operator, "northw", "&account=acme") == [second, first]
    assert await found(site.operator, "northw", "&until=2020-01-01T00:00:00Z") == []
    assert await found(site.operator, "traders") == []


async def test_pages_of_a_search_go_on_where_the_one_before_ended(site: Site) -> None:
    await site.account()
    await indexed(site)
    made = [await publish(site, f"INV-{number}") for number in range(5)]
    path, seen = "/v1/events?search=inv&limit=2", list[str]()
    cursor = ""
    while True:
        page = (await site.operator.get(path + cursor)).ok()
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={quote(page['next_cursor'])}"
    assert seen == made[::-1]
    other = await site.operator.get(f"/v1/events?search=in&limit=2{cursor}")
    assert (other.status, other.code) == (422, "invalid_cursor")


async def test_an_account_finds_its_own_alone(site: Site) -> None:
    await site.account()
    await site.account(reference="northwind")
    await indexed(site)
    own = await publish(site, "INV-1")
    await publish(site, "INV-2", account="northwind")
    customer = await site.key("account", account="acme")
    assert await found(customer, "inv") == [own]
    assert await found(await site.key("project", project="invoice-maker"), "inv-1") == [own]


def refused(answer: Answer, code: str) -> bool:
    return (answer.status, answer.code) == (422, code)


async def test_a_search_that_cannot_be_is_a_problem(site: Site) -> None:
    await site.account()
    assert refused(await site.operator.get("/v1/events?search=x"), "not_indexed")
    await indexed(site)
    blank = await site.operator.get("/v1/events?search=%20%E2%80%8B")
    assert refused(blank, "invalid_search")
    assert blank.pointers == ["/search"]
    assert (await site.operator.get("/v1/events?search=")).status == 422
    assert (await site.operator.get(f"/v1/events?search={'x' * 201}")).status == 422
    for number in range(101):
        await publish(site, f"INV-{number}")

    async def is_broad() -> bool:
        answer = await site.operator.get("/v1/events?search=inv")
        return answer.status != 200 and refused(answer, "search_too_broad")

    await until_true(is_broad)


async def until_true(ask: Any) -> None:
    async def asked() -> None:
        if not await ask():
            raise UnavailableError("not yet")

    await at_last(asked)


@pytest.mark.both_databases
async def test_a_project_says_from_when_its_index_is_complete_and_fills_it(site: Site) -> None:
    await site.account()
    path = "/v1/projects/invoice-maker"
    assert refused(await site.operator.get(f"{path}/index"), "not_indexed")
    assert refused(await site.operator.post(f"{path}/reindex"), "not_indexed")
    old = await publish(site, "INV-1")
    await indexed(site, 'index = ["customer.name"]\n')
    await indexed(site)
    shown = (await site.operator.get(f"{path}/index")).ok()
    assert shown["paths"] == ["invoice.number", "customer.name"]
    started = (await site.operator.post(f"{path}/reindex")).ok(202)
    assert (started["project"], started["events"]) == ("invoice-maker", 0)
    assert started["started_at"] is not None

    async def is_complete() -> bool:
        return bool((await site.operator.get(f"{path}/index")).ok()["state"] == "complete")

    await until_true(is_complete)
    assert await found(site.operator, "inv-1") == [old]
    done = (await site.operator.get(f"{path}/index")).ok()
    assert done["complete_since"] is None
    log = (await site.operator.get("/v1/audit-log")).ok()["items"]
    assert [each["target"] for each in log if each["action"] == "project.reindex"] == [
        "invoice-maker"
    ]


async def test_an_account_and_another_project_reach_no_index(site: Site) -> None:
    await site.account()
    await indexed(site)
    customer = await site.key("account", account="acme")
    assert (await customer.get("/v1/projects/invoice-maker/index")).status == 403
    assert (await customer.post("/v1/projects/invoice-maker/reindex")).status == 403
    await site.account("defacto", "other")
    other = await site.key("project", project="defacto")
    assert (await other.get("/v1/projects/invoice-maker/index")).status == 404
    assert (await other.post("/v1/projects/invoice-maker/reindex")).status == 404
    assert refused(await other.get("/v1/events?search=x"), "not_indexed")


async def test_a_dry_run_says_how_the_index_changes_and_changes_nothing(site: Site) -> None:
    await site.account()
    text = INDEXED + read_shipped("invoice-maker")
    answer = await site.operator.apply("invoice-maker?dry_run=true", text)
    assert answer.ok()["changes"] == ['index: [] -> ["invoice.number","customer.name"]']
    assert refused(await site.operator.get("/v1/projects/invoice-maker/index"), "not_indexed")
