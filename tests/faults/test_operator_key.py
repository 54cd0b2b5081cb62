"""If the operator's key from the settings is revoked, the server warns and continues."""

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest
from apikit import ApiError
from postgreskit import database
from serverkit import Server, raw, request, serving

SAID = (
    "the key in HOOKTIDE_OPERATOR_KEY was revoked and is not accepted; set another one and restart"
)


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_server_whose_key_was_revoked_says_so_and_starts_all_the_same(
    tmp_path: Path, processes: int
) -> None:
    async with (
        database() as url,
        serving(tmp_path, "--processes", str(processes), database=url) as server,
    ):
        assert await warnings(server) == []
        given = (await server.api.get("/v1/keys"))["items"][0]["id"]
        with pytest.raises(ApiError) as refused:
            await server.api.delete(f"/v1/keys/{given}")
        assert refused.value.status == 409
        made = await server.api.post("/v1/keys", {"scope": "operator", "name": "new"})
        await server.api.delete(f"/v1/keys/{given}")
        await said(server, processes)
        assert await warnings(server) == [SAID]
        client = server.client(made["key"])
        if processes > 1:
            os.kill(server.children[0], signal.SIGKILL)
            await said(server, processes + 1)
            await client.get("/v1/keys")
            assert [line["code"] for line in server.said("a process ended")] == [-9]
        times = len(server.said(SAID))
        await server.stop()
        await server.start()
        await said(server, times + 1)
        await client.get("/v1/keys")
        assert await warnings(server) == [SAID]


async def warnings(server: Server) -> list[str]:
    """Return the warnings of a server that is ready."""
    got = await raw(server.port, request("GET", "/health/ready"))
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    answer: dict[str, list[str]] = msgspec.json.decode(body)
    return answer["warnings"]


async def said(server: Server, times: int) -> None:
    async with asyncio.timeout(60):
        while len(server.said(SAID)) < times:
            await asyncio.sleep(0.02)
