"""Lists a page at a time: nothing lost, nothing twice, and no cursor out of its place."""

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
