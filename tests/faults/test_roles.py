"""One server has the role ``api``, another the role ``worker``."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from accounting import Ledger
from postgreskit import database
from serverkit import Server, event, raw, receiving, request, serving, set_up, until_none_is


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with database() as url:
        yield url


async def status(server: Server, method: str, path: str, body: bytes = b"") -> int:
    return int((await raw(server.port, request(method, path, body))).split(maxsplit=2)[1])


async def test_the_api_delivers_nothing_by_itself_and_the_worker_answers_only_for_its_health(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger()
    async with (
        receiving(ledger) as receiver,
        serving(tmp_path, "--role", "api", database=url, name="api") as api,
    ):
        account, secrets = await set_up(api.api, receiver, ("/ok",))
        [endpoint] = (await api.api.get("/v1/endpoints"))["items"]
        tried = await api.api.post(f"/v1/endpoints/{endpoint['id']}/test", {})
        assert tried["status"] == "delivered"
        ledger.acked[ledger.arrived[0].event_id] = ledger.arrived[0].body
        for number in range(20):
            made = await api.api.post("/v1/events", event(account, {"n": number}))
            ledger.acked[made["id"]] = b'{"n":%d}' % number
        waiting = (await api.api.get("/v1/deliveries?state=pending"))["items"]
        assert len(waiting) == 20
        assert len(ledger.arrived) == 1
        async with serving(tmp_path, "--role", "worker", database=url, name="worker") as worker:
            await until_none_is(api.api, "pending")
            assert await worker.metric("hooktide_attempts_total") == 20
            assert await status(worker, "GET", "/health/live") == 200
            for method, path in (("POST", "/v1/events"), ("GET", "/v1/accounts"), ("GET", "/")):
                assert await status(worker, method, path) == 404
            await worker.stop()
        assert await api.metric("hooktide_attempts_total") == 1
        assert await api.metric("hooktide_events_accepted_total") == 20
        await api.stop()
    ledger.check(secrets)
