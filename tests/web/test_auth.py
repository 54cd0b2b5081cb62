"""Authentication: API keys, where they are sent, their scopes, and when revocation applies."""

import asyncio

import pytest
from webkit import OPERATOR, Client, Site


async def test_a_request_without_a_key_is_refused_with_instructions(operator: Client) -> None:
    answer = await operator.call("GET", "/v1/accounts", headers={"authorization": ""})
    assert answer.status == 401
    assert answer.code == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Basic " + OPERATOR,
        OPERATOR,
        "Bearer " + OPERATOR[:-1],
        "Bearer " + OPERATOR + "x",
        "Bearer " + OPERATOR.upper(),
        "Bearer  " + OPERATOR,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer " + "x" * 10_000,
        "Bearer \xff\xfe",
    ],
)
async def test_what_is_no_key_opens_nothing(operator: Client, given: str) -> None:
    answer = await operator.call("GET", "/v1/accounts", headers={"authorization": given})
    assert answer.status == 401
    assert answer.code == "unauthorized"


async def test_the_scheme_may_be_in_any_case(operator: Client) -> None:
    answer = await operator.call(
        "GET", "/v1/accounts", headers={"authorization": f"bearer {OPERATOR}"}
    )
    assert answer.status == 200


async def test_two_keys_are_refused_even_when_both_are_good(operator: Client) -> None:
    answer = await operator.call(
        "GET", "/v1/accounts", more=[("authorization", f"Bearer {OPERATOR}")]
    )
    assert answer.status == 401


async def test_a_key_in_the_url_is_refused(operator: Client) -> None:
    assert (await operator.get(f"/v1/accounts?key={OPERATOR}")).code == "unauthorized"


@pytest.mark.both_databases
async def test_a_revoked_key_opens_nothing_from_the_next_request_on(site: Site) -> None:
    made = (await site.operator.post("/v1/keys", {"scope": "operator", "name": "x"})).ok(201)
    other = site.client(made["key"])
    assert (await other.get("/v1/accounts")).status == 200
    (await site.operator.delete(f"/v1/keys/{made['id']}")).ok(204)
    assert (await other.get("/v1/accounts")).status == 401


@pytest.mark.both_databases
async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(site: Site) -> None:
    made = (await site.operator.post("/v1/keys", {"scope": "operator", "name": "x"})).ok(201)
    header = b"Bearer " + made["key"].encode()
    auth, scope = site.app.auth, {"query_string": b"", "headers": [(b"authorization", header)]}
    looking = asyncio.create_task(auth.authenticate(scope))
    await asyncio.sleep(0)  # the store is queried now
    auth.forget(0)
    await looking
    assert auth.cached(header) is None


@pytest.mark.both_databases
async def test_when_a_key_was_last_used_is_written_down(site: Site) -> None:
    made = (await site.operator.post("/v1/keys", {"scope": "operator", "name": "x"})).ok(201)
    await site.client(made["key"]).get("/v1/accounts")
    assert await site.app.auth.flush() == 2
    listed = (await site.operator.get("/v1/keys")).ok()["items"]
    assert [key["used_at"] is not None for key in listed if key["id"] == made["id"]] == [True]


@pytest.mark.both_databases
async def test_a_project_key_reaches_its_project_and_no_other(site: Site) -> None:
    ours = await site.account("invoice-maker", "ours")
    theirs = await site.account("invoice-ahoy", "theirs")
    key = await site.key("project", project="invoice-maker")
    assert (await key.get(f"/v1/accounts/{ours['id']}")).status == 200
    assert (await key.get(f"/v1/accounts/{theirs['id']}")).code == "not_found"
    assert (await key.get("/v1/accounts/theirs")).code == "not_found"
    assert [each["id"] for each in (await key.get("/v1/accounts")).ok()["items"]] == [ours["id"]]
    assert [each["name"] for each in (await key.get("/v1/projects")).ok()["items"]] == [
        "invoice-maker"
    ]
    assert (await key.get("/v1/projects/invoice-ahoy")).code == "not_found"


async def test_a_project_key_adds_no_project(site: Site) -> None:
    await site.account()
    key = await site.key("project", project="invoice-maker")
    assert (await key.apply("invoice-maker")).ok()["changes"] == []
    assert (await key.apply("house-check")).code == "not_found"
    assert (await key.delete("/v1/projects/invoice-maker")).code == "forbidden"


async def test_an_account_key_neither_publishes_nor_manages(site: Site) -> None:
    await site.account()
    key = await site.key("account", account="acme")
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    for answer in (
        await key.post("/v1/events", event),
        await key.get("/v1/accounts"),
        await key.post("/v1/accounts", {"reference": "x"}),
        await key.patch("/v1/accounts/acme", {"plan": "pro"}),
        await key.get("/v1/projects"),
        await key.apply("invoice-maker"),
        await key.put("/v1/event-types/a.b", {}),
        await key.get("/v1/keys"),
        await key.post("/v1/keys", {"scope": "account", "name": "x", "account": "acme"}),
    ):
        assert answer.status == 403
        assert answer.code == "forbidden"


async def test_only_an_account_key_opens_the_customers_api(operator: Client) -> None:
    assert (await operator.get("/webhooks")).code == "forbidden"


@pytest.mark.both_databases
async def test_no_key_is_stored_as_it_is(site: Site) -> None:
    made = (await site.operator.post("/v1/keys", {"scope": "operator", "name": "x"})).ok(201)
    assert made["key"].endswith(made["last4"])
    for page in ("/v1/keys", "/openapi.json"):
        assert made["key"].encode() not in (await site.operator.get(page)).body
    await site.app.store.check()
    for file in site.app.settings.key_path.parent.iterdir():
        assert made["key"].encode() not in file.read_bytes()
