"""A server is killed while deliveries fail: each subscriber gets one event per failure."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

from apikit import Api, ApiError
from ports import free_port
from serverkit import event, serving, set_up

from hooktide.dialects import read_shipped
from hooktide.domain.operational_events import EVERYTHING, PROJECT, listener_of

EVENTS = 300
KILLS = 4
DONE_TIMEOUT = 120.0
FAILING = """
name = "accounting"
disable_after = 0
[plans.default]
retries = 0
[event_types."thing.happened"]
"""


async def everything(api: Api, path: str) -> list[Any]:
    """Return all pages of a list."""
    found: list[Any] = []
    cursor = ""
    while True:
        page: Any = await api.get(f"{path}&limit=100{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def told(api: Api, reference: str) -> Counter[str]:
    """Count an account's operational events by delivery."""
    events = await everything(api, f"/v1/events?account={reference}&type=delivery.failed")
    payloads = [(await api.get(f"/v1/events/{each['id']}"))["payload"] for each in events]
    return Counter(payload["delivery"] for payload in payloads)


async def test_each_failed_delivery_is_published_once_whichever_process_is_killed(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)
    async with serving(tmp_path) as server:
        api = server.api
        account, _ = await set_up(api, free_port(), ["/nobody"], project=FAILING)
        await api.put_toml(f"/v1/projects/{PROJECT}", read_shipped(PROJECT))
        await api.post("/v1/events", [event(account) for _ in range(EVENTS)])
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.4, 1.2))
            await server.kill()
            await server.start()
        async with asyncio.timeout(DONE_TIMEOUT):
            while len(await everything(api, "/v1/deliveries?state=failed")) < EVENTS:
                await asyncio.sleep(0.2)
            for reference in (listener_of("accounting"), EVERYTHING):
                while len(counted := await quietly(api, reference)) < EVENTS:
                    await asyncio.sleep(0.2)
                failed = await everything(api, "/v1/deliveries?state=failed")
                assert counted == Counter({each["id"]: 1 for each in failed})


async def quietly(api: Api, reference: str) -> Counter[str]:
    """Count an account's operational events. An account that does not exist yet has none."""
    try:
        return await told(api, reference)
    except ApiError:
        return Counter()
