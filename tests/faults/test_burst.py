"""Ten thousand events for a dead endpoint do not delay another account's event."""

import asyncio
from pathlib import Path

from accounting import Ledger
from serverkit import event, receiving, serving, set_up

BURST = 10_000
PER_ENDPOINT = 10


async def test_a_burst_for_a_dead_endpoint_delays_no_other_account(tmp_path: Path) -> None:
    ledger = Ledger(hanging={"/dead"})
    async with receiving(ledger) as receiver, serving(tmp_path, "--no-log-attempts") as server:
        loud, _ = await set_up(server.api, receiver, ("/dead",), reference="loud")
        quiet, secrets = await set_up(server.api, receiver, ("/ok",), reference="quiet")
        batch = [event(loud, {"n": n}) for n in range(1000)]
        for _ in range(BURST // 1000):
            answer = await server.api.post("/v1/events", batch)
            assert {item["status"] for item in answer["results"]} == {202}
        made = await server.api.post("/v1/events", event(quiet))
        ledger.acked = {made["id"]: b"{}"}
        async with asyncio.timeout(60):
            while not ledger.arrived_at("/ok"):
                await asyncio.sleep(0.005)
        assert len(ledger.arrived_at("/dead")) == PER_ENDPOINT
        assert await server.metric("hooktide_in_flight") <= PER_ENDPOINT + 1
        ledger.arrived = [item for item in ledger.arrived if item.endpoint == "/ok"]
    ledger.check(secrets)
