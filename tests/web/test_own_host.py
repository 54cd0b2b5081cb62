"""A URL of this server itself is refused when an endpoint is created or updated."""

from pathlib import Path

from webkit import Answer, running

PUBLIC = "93.184.216.34"
URL = f"http://{PUBLIC}:8080/"


async def test_the_servers_own_address_is_refused_when_an_endpoint_is_saved(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, public_url=f"http://{PUBLIC}") as site:
        await site.account()
        given = {"account": "acme", "url": URL, "event_types": ["*"]}
        refused(await site.operator.post("/v1/endpoints", given))
        made = await site.endpoint()
        refused(await site.operator.patch(f"/v1/endpoints/{made['id']}", {"url": URL}))


def refused(answer: Answer) -> None:
    assert (answer.status, answer.code) == (422, "invalid_url")
    [fault] = answer.json["errors"]
    assert fault["code"] == "ip_own_host"
    assert "this server's own address" in fault["detail"]


async def test_a_bin_of_the_server_is_no_such_url(tmp_path: Path) -> None:
    async with running(tmp_path, public_url=f"http://{PUBLIC}") as site:
        await site.account()
        made = (await site.operator.post("/v1/bins", {})).ok(201)
        given = {"account": "acme", "url": made["url"], "event_types": ["*"]}
        assert (await site.operator.post("/v1/endpoints", given)).status == 201
