"""Pagination: nothing is missing or repeated, and a cursor only works for its own list."""

import base64

import pytest
from webkit import Client, Site


@pytest.fixture
async def seven(site: Site) -> Site:
    await site.account(reference="a0")
    for number in range(1, 7):
        given = {"project": "invoice-maker", "reference": f"a{number}"}
        (await site.operator.post("/v1/accounts", given)).ok(201)
    return site


@pytest.mark.both_databases
async def test_walking_the_pages_meets_each_item_once_newest_first(seven: Site) -> None:
    assert await _walk(seven.operator, "/v1/accounts?limit=3") == [
        f"a{n}" for n in range(6, -1, -1)
    ]


async def _walk(client: Client, path: str) -> list[str]:
    found, cursor = [], ""
    while True:
        page = (await client.get(path + cursor)).ok()
        found += [each["reference"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.both_databases
async def test_what_is_added_meanwhile_moves_nothing(seven: Site) -> None:
    first = (await seven.operator.get("/v1/accounts?limit=4")).ok()
    given = {"project": "invoice-maker", "reference": "late"}
    (await seven.operator.post("/v1/accounts", given)).ok(201)
    rest = await seven.operator.get(f"/v1/accounts?limit=4&cursor={first['next_cursor']}")
    references = [each["reference"] for each in first["items"] + rest.ok()["items"]]
    assert references == [f"a{n}" for n in range(6, -1, -1)]


async def test_the_last_page_has_no_cursor(seven: Site) -> None:
    assert (await seven.operator.get("/v1/accounts?limit=7")).ok()["next_cursor"] is None


async def test_a_cursor_fits_only_the_list_that_it_came_from(seven: Site) -> None:
    cursor = (await seven.operator.get("/v1/accounts?limit=2")).ok()["next_cursor"]
    project = await seven.key("project", project="invoice-maker")
    for answer in (
        await project.get(f"/v1/accounts?limit=2&cursor={cursor}"),
        await seven.operator.get(f"/v1/accounts?project=invoice-maker&cursor={cursor}"),
        await seven.operator.get(f"/v1/endpoints?cursor={cursor}"),
        await seven.operator.get(f"/v1/keys?cursor={cursor}"),
    ):
        assert answer.code == "invalid_cursor"
        assert answer.status == 422


async def test_a_cursor_that_was_made_up_is_refused(seven: Site) -> None:
    cursor = (await seven.operator.get("/v1/accounts?limit=2")).ok()["next_cursor"]
    flipped = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    made_up = [
        flipped,
        cursor[:-1],
        cursor[:-4],
        cursor + "AAAA",
        cursor + "%20",
        "",
        "acc_0000000000000001",
        base64.urlsafe_b64encode(b'{"id":1}').decode(),
        "%C3%A9",
        "A" * 10_000,
    ]
    for text in made_up:
        answer = await seven.operator.get(f"/v1/accounts?cursor={text}")
        assert answer.code == "invalid_cursor", text


async def test_the_page_size_may_change_on_the_way(seven: Site) -> None:
    cursor = (await seven.operator.get("/v1/accounts?limit=2")).ok()["next_cursor"]
    rest = (await seven.operator.get(f"/v1/accounts?limit=100&cursor={cursor}")).ok()
    assert len(rest["items"]) == 5


@pytest.fixture
async def busy(site: Site) -> Site:
    """An account whose endpoint received five events and was changed five times."""
    await site.account()
    hook = await site.endpoint()
    for number in range(5):
        event = {"account": "acme", "type": "invoice.paid", "payload": {"n": number}}
        (await site.operator.post("/v1/events", event)).ok(202)
        name = {"name": f"hook {number}"}
        (await site.operator.call("PATCH", f"/v1/endpoints/{hook['id']}", name)).ok()
    site.made = {"hook": hook}
    return site


LISTS = (
    ("/v1/events?type=invoice.paid", "accepted_at"),
    ("/v1/events?account=acme", "accepted_at"),
    ("/v1/deliveries?", "created_at"),
    ("/v1/deliveries?account=acme", "created_at"),
    ("/v1/endpoints/{hook}/deliveries?", "created_at"),
    ("/v1/audit-log?target={hook}", "at"),
)


@pytest.mark.parametrize(("path", "at"), LISTS)
@pytest.mark.both_databases
async def test_a_list_is_of_what_was_made_since_then_and_before_until(
    busy: Site, path: str, at: str
) -> None:
    path = path.format(hook=busy.made["hook"]["id"])
    everything = (await busy.operator.get(path)).ok()["items"]
    assert len(everything) >= 5
    times = [each[at] for each in everything]
    assert times == sorted(set(times), reverse=True)
    newest, oldest = times[1], times[3]

    async def found(query: str) -> list[str]:
        answer = await busy.operator.get(f"{path}&{query}")
        return [each[at] for each in answer.ok()["items"]]

    assert await found(f"since={oldest}") == times[:4]
    assert await found(f"until={newest}") == times[2:]
    assert await found(f"since={oldest}&until={newest}") == times[2:4]
    assert await found(f"since={times[0]}") == times[:1]
    assert await found("since=2099-01-01T00:00:00%2B02:00") == []
    assert await found(f"until={times[-1]}") == []


@pytest.mark.parametrize(("path", "at"), LISTS)
@pytest.mark.both_databases
async def test_the_pages_of_a_span_meet_each_item_once(busy: Site, path: str, at: str) -> None:
    path = path.format(hook=busy.made["hook"]["id"])
    times = [each[at] for each in (await busy.operator.get(path)).ok()["items"]]
    span = f"{path}&limit=2&since={times[4]}&until={times[0]}"
    first = (await busy.operator.get(span)).ok()
    rest = (await busy.operator.get(f"{span}&cursor={first['next_cursor']}")).ok()
    assert [each[at] for each in first["items"] + rest["items"]] == times[1:5]
    assert rest["next_cursor"] is None
    for query in ("", f"&since={times[3]}&until={times[0]}", f"&since={times[4]}"):
        other = f"{path}&limit=2{query}&cursor={first['next_cursor']}"
        assert (await busy.operator.get(other)).code == "invalid_cursor"


@pytest.mark.parametrize(
    ("query", "pointer", "says"),
    [
        ("since=yesterday", "/since", "2026-01-31T12:00:00Z"),
        ("until=2026-01-31T12:00:00", "/until", "with its offset"),
        ("until=1h", "/until", "2026-01-31T12:00:00Z"),
        ("since=", "/since", "2026-01-31T12:00:00Z"),
        ("since=2026-01-31T12:00:00Z&until=2026-01-31T12:00:00Z", "/until", "later than since"),
    ],
)
async def test_what_is_no_span_is_refused_by_its_parameter(
    busy: Site, query: str, pointer: str, says: str
) -> None:
    made = (await busy.operator.post("/v1/bins", {})).ok(201)
    for path, _ in (*LISTS, (f"/v1/bins/{made['id']}/requests?", "")):
        answer = await busy.operator.get(f"{path.format(hook=busy.made['hook']['id'])}&{query}")
        assert (answer.status, answer.code) == (422, "invalid_time")
        [error] = answer.json["errors"]
        assert error["pointer"] == pointer
        assert says in error["detail"]
