"""On SIGTERM the server becomes unready, finishes the attempts in flight, and loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from accounting import PROJECT, Ledger, Producer
from postgreskit import cluster, database
from serverkit import KEY, Server, event, raw, receiving, request, serving, set_up, until_none_is

SLOTS = ("--slots-per-endpoint", "10", "--no-log-attempts")
PATIENT = PROJECT.replace("retries = 20\n", 'retries = 20\ntimeout = "30s"\n')


@dataclass
class Kind:
    """A configuration of the server: its database, and its number of processes."""

    folder: Path
    database: str = ""
    processes: int = 1

    def serving(self, *options: str) -> AbstractAsyncContextManager[Server]:
        several = ("--processes", str(self.processes))
        return serving(self.folder, *several, *options, database=self.database)


@pytest.fixture(params=["sqlite", "postgres", "several processes"])
async def kind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kind]:
    if request.param == "sqlite":
        yield Kind(tmp_path)
        return
    async with database() as url:
        yield Kind(tmp_path, url, processes=1 if request.param == "postgres" else 2)


async def until_not_ready(server: Server) -> None:
    """Wait until readiness returns 503. A server that no longer listens never does."""
    async with asyncio.timeout(60):
        while (
            b"503" not in (await raw(server.port, request("GET", "/health/ready"))).splitlines()[0]
        ):
            await asyncio.sleep(0.01)


async def until_hanging(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(60):
        while len(ledger.arrived_at("/hang")) < count:
            await asyncio.sleep(0.01)


async def test_a_stopping_server_finishes_attempts_in_flight_and_loses_nothing(kind: Kind) -> None:
    ledger = Ledger(hanging={"/hang"})
    hanging = 10 * kind.processes
    async with (
        receiving(ledger) as receiver,
        kind.serving(*SLOTS, "--stop-within", "3") as server,
    ):
        paths = ("/ok", "/slow", "/hang")
        account, secrets = await set_up(server.api, receiver, paths, project=PATIENT)
        producer = Producer(server.port, KEY, account, ledger)
        producing = asyncio.create_task(producer.run(1))
        try:
            await until_hanging(ledger, hanging)
            server.terminate()
            await until_not_ready(server)
            late = await server.api.post("/v1/events", event(account, {"late": True}))
            ledger.acked[late["id"]] = b'{"late":true}'
            assert await server.ended(within=120) == 0
            assert late["id"] not in {item.event_id for item in ledger.arrived}
            cut_off = set(ledger.arrived_at("/hang"))
            assert len(cut_off) == hanging
            ledger.hanging.clear()
            await server.start()
            producer.stop.set()
            await producing
        finally:
            producing.cancel()
        await until_none_is(server.api, "pending")
        # An attempt that times out, after 30 seconds, counts. That none did shows that the server
        # kept to --stop-within, however slow the machine is: both are timers of one event loop.
        for event_id in list(cut_off)[:5]:
            made = (await server.api.get(f"/v1/deliveries?event={event_id}"))["items"]
            assert [item["attempts"] for item in made] == [1, 1, 1]
    ledger.check(secrets)
    assert ledger.duplicates == 0
    twice = {id_ for id_, count in Counter(ledger.arrived_at("/hang")).items() if count > 1}
    assert twice == cut_off


async def test_a_second_sigterm_ends_it_at_once_and_still_loses_nothing(kind: Kind) -> None:
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as receiver, kind.serving("--stop-within", "60") as server:
        account, secrets = await set_up(server.api, receiver, ("/hang",))
        made = await server.api.post("/v1/events", event(account))
        ledger.acked[made["id"]] = b"{}"
        await until_hanging(ledger, 1)
        server.terminate()
        await until_not_ready(server)
        server.terminate()
        assert await server.ended(within=120) == 1
        ledger.hanging.clear()
        await server.start()
        await until_none_is(server.api, "pending", within=40)  # not at the end of its lease
    ledger.check(secrets)


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_server_whose_database_is_away_stops_in_time(
    tmp_path: Path, processes: int
) -> None:
    ledger = Ledger(hanging={"/hang"})
    with cluster() as postgres:
        async with database(postgres) as url, receiving(ledger) as receiver:
            away = Kind(tmp_path, url, processes)
            async with away.serving("--stop-within", "5") as server:
                account, _ = await set_up(server.api, receiver, ("/hang",))
                for _ in range(30):
                    await server.api.post("/v1/events", event(account))
                await until_hanging(ledger, 10)
                await asyncio.to_thread(postgres.stop)
                server.terminate()
                assert await server.ended(within=45) == 0  # outcomes are kept for a minute
            await asyncio.to_thread(postgres.start)


async def test_an_open_stream_and_half_a_request_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path, "--stop-within", "60") as server:
        page = (await server.api.post("/v1/bins"))["page_url"]
        path = page.removeprefix(f"http://127.0.0.1:{server.port}") + "/events"
        streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        (events, events_out), (half, half_out), (idle, idle_out) = streams
        events_out.write(request("GET", path))
        await events.readuntil(b"retry: 2000\n\n")
        half_out.write(request("POST", "/v1/events", b"x" * 1000)[:-500])
        idle_out.write(request("GET", "/health/live").replace(b"connection: close\r\n", b""))
        await idle.readuntil(b'{"status":"ok"}')
        server.terminate()
        assert await server.ended(within=120) == 0
        assert b"event" not in await events.read(-1)
        assert b"/problems/unavailable" in await half.read(-1)
        for _, writer in streams:
            writer.close()
