"""``kill -9`` under load loses nothing that was answered 202.

``HOOKTIDE_KILLS`` says how often the server is killed: 4 by default, ``make faults`` has 20.
"""

import asyncio
import os
import random
from pathlib import Path

from accounting import Ledger, Producer
from serverkit import KEY, receiving, serving, set_up, until_none_is

from hooktide.demo.api import Api

KILLS = int(os.environ.get("HOOKTIDE_KILLS", "4"))


async def until_quiet(ledger: Ledger, endpoints: int, within: float) -> None:
    async with asyncio.timeout(within):
        while len(ledger.answered_ok) < len(ledger.acked) * endpoints:
            await asyncio.sleep(0.05)


async def states_agree(api: Api, ledger: Ledger) -> None:
    """The API says ``delivered`` of every delivery, and knows every event."""
    await until_none_is(api, "pending")
    for state in ("failed", "held", "discarded"):
        assert (await api.get(f"/v1/deliveries?state={state}&limit=1"))["items"] == []
    for event_id in random.Random(3).sample(sorted(ledger.acked), min(50, len(ledger.acked))):
        page = await api.get(f"/v1/deliveries?event={event_id}")
        assert [item["state"] for item in page["items"]] == ["delivered"] * 3


async def test_a_server_killed_under_load_loses_nothing_it_accepted(tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(11)
    options = ("--no-log-attempts", "--slots-per-endpoint", "100", "--slots-per-account", "300")
    async with receiving(ledger) as receiver, serving(tmp_path, *options) as server:
        account, secrets = await set_up(server.api, receiver, ("/ok", "/flaky", "/slow"))
        producer = Producer(server.port, KEY, account, ledger)
        producing = asyncio.create_task(producer.run(4))
        try:
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                await server.kill()
                await server.start()
            producer.stop.set()
            await producing
        finally:
            producing.cancel()
        await until_quiet(ledger, len(secrets), within=60)
        await states_agree(server.api, ledger)
    ledger.check(secrets)
    assert len(ledger.acked) > KILLS * 50
    print(
        f"{KILLS} kills: {len(ledger.acked)} accepted, 0 lost, {ledger.duplicates} sent again, "
        f"{ledger.unknown} without an answer"
    )
