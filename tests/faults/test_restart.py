"""A server keeps its state across a restart, whether it was stopped or killed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from accounting import PROJECT, Ledger
from apikit import ApiError
from serverkit import Server, event, receiving, serving, set_up

LIMITED = PROJECT.replace("retries = 20", "retries = 20\ndeliveries_per_hour = 5").replace(
    '["1s"]', '["1h"]'
)


async def again(server: Server, how: str) -> None:
    if how == "stopped":
        await server.stop()
    else:
        await server.kill()
    await server.start()


async def states(server: Server) -> list[tuple[str, int]]:
    """Return the state and the attempts of all deliveries, oldest first."""
    items = (await server.api.get("/v1/deliveries?limit=100"))["items"]
    return [(item["state"], item["attempts"]) for item in reversed(items)]


async def publish(server: Server, account: str, ledger: Ledger, **more: Any) -> str:
    made = await server.api.post("/v1/events", event(account, **more))
    ledger.acked[made["id"]] = b"{}"
    return str(made["id"])


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_the_hour_of_a_plan_and_what_it_holds_are_kept(tmp_path: Path, how: str) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",), project=LIMITED)
        for _ in range(3):
            await publish(server, account, ledger)
        await again(server, how)
        for _ in range(4):
            await publish(server, account, ledger)
        await again(server, how)
        await publish(server, account, ledger)
        found = [state for state, _ in await states(server)]
        assert found[5:] == ["held"] * 3
        assert set(found[:5]) <= {"delivered", "pending"}
        assert len({item.event_id for item in ledger.arrived}) <= 5


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_retry_that_is_due_in_the_future_is_still_due_then(
    tmp_path: Path, how: str
) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/fail",), project=LIMITED)
        event_id = await publish(server, account, ledger)
        async with asyncio.timeout(60):
            while await states(server) != [("pending", 1)]:
                await asyncio.sleep(0.02)
        [before] = (await server.api.get(f"/v1/deliveries?event={event_id}"))["items"]
        await again(server, how)
        [after] = (await server.api.get(f"/v1/deliveries?event={event_id}"))["items"]
        assert after == before
    assert ledger.arrived_at("/fail") == [event_id]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_an_idempotency_key_means_its_event_after_a_restart(tmp_path: Path, how: str) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",))
        first = await publish(server, account, ledger, idempotency_key="one")
        await again(server, how)
        assert await publish(server, account, ledger, idempotency_key="one") == first
        with pytest.raises(ApiError) as refused:
            await server.api.post("/v1/events", event(account, {"other": 1}, idempotency_key="one"))
        assert refused.value.code == "idempotency_key_reuse"
        assert len(await states(server)) == 1
