"""Custom headers: one value per name is sent, and values are masked in the log."""

import asyncio
from pathlib import Path
from typing import Any

from webkit import running

OWN = {"Accept": "application/json", "type": "application/json", "X-Key": "s3cret"}


async def test_a_name_has_one_value_on_the_wire_and_masks_cover_whole_lines(
    tmp_path: Path,
) -> None:
    heads: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with running(tmp_path) as site:
        await site.account()
        made = await site.endpoint(url=url, headers=OWN)
        tested: Any = (await site.operator.post(f"/v1/endpoints/{made['id']}/test", {})).ok()
        head = await heads.get()
    server.close()
    lines = head.decode().split("\r\n")[1:-2]
    sent = [tuple(line.split(": ", 1)) for line in lines]
    names = [name.lower() for name, _ in sent]
    assert len(names) == len(set(names))
    assert {("Accept", "application/json"), ("X-Key", "s3cret")} <= set(sent)
    assert ("content-type", "application/json") in sent
    shown = dict(tested["request_headers"])
    assert (shown["accept"], shown["type"], shown["x-key"]) == ("****", "****", "****")
    assert shown["content-type"] == "application/json"
    assert list(shown) == names


async def test_a_header_that_the_project_takes_for_itself_later_is_the_projects(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as site:
        text = (
            'name = "plain"\n[dialect]\nstandard_headers = true\n'
            "[event_types.\"a.b\"]\nexample = '{}'\n"
        )
        (await site.operator.apply("plain", text)).ok()
        given = {"project": "plain", "reference": "acme"}
        (await site.operator.post("/v1/accounts", given)).ok(201)
        made = await site.endpoint(headers={"X-Version": "mine"})
        text += '[dialect.headers]\nX-Version = "ours"\n'
        (await site.operator.apply("plain", text)).ok()
        tested: Any = (await site.operator.post(f"/v1/endpoints/{made['id']}/test", {})).ok()
        pairs = [pair for pair in tested["request_headers"] if pair[0] == "x-version"]
        assert pairs == [["x-version", "ours"]]
