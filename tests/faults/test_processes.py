"""Several processes behind one address: killed, replaced and stopped, and nothing is lost."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from accounting import Ledger, Producer
from postgreskit import database
from serverkit import (
    KEY,
    READY_TIMEOUT,
    Server,
    event,
    raw,
    receiving,
    request,
    run,
    serving,
    set_up,
    until_none_is,
)

SEVERAL = ("--processes", "2", "--database-connections", "4")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with database() as url:
        yield url


async def until(true: Callable[[], bool]) -> None:
    """Wait until something has happened in another process."""
    async with asyncio.timeout(READY_TIMEOUT):
        while not true():
            await asyncio.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def until_ended(pids: Sequence[int]) -> None:
    await until(lambda: not any(map(lives, pids)))


async def rolled(server: Server) -> None:
    """Replace all processes, and wait until that is done."""
    before = len(server.said("rolling restart: done"))
    server.signal(signal.SIGHUP)
    await until(lambda: len(server.said("rolling restart: done")) > before)


@asynccontextmanager
async def asking(port: int, path: str) -> AsyncIterator[Counter[int]]:
    """Repeat a request on a persistent connection. Yield the statuses, with 0 for no response."""
    statuses: Counter[int] = Counter()
    stop = asyncio.Event()
    task = asyncio.create_task(_ask(port, path, statuses, stop))
    try:
        yield statuses
    finally:
        stop.set()
        await task


async def _ask(port: int, path: str, statuses: Counter[int], stop: asyncio.Event) -> None:
    wanted = request("GET", path).replace(b"connection: close\r\n", b"")
    streams = None
    while not stop.is_set():
        try:
            streams = streams or await asyncio.open_connection("127.0.0.1", port)
            streams[1].write(wanted)
            head = await streams[0].readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:-1])
            await streams[0].readexactly(int(fields[b"content-length"]))
        except (OSError, asyncio.IncompleteReadError):
            status, again = 0, False
        else:
            status, again = int(head.split()[1]), fields.get(b"connection") != b"close"
        statuses[status] += 1
        if streams is not None and not again:
            streams[1].close()
            streams = None
        await asyncio.sleep(0.02)
    if streams is not None:
        streams[1].close()


async def test_rolling_restarts_under_load_refuse_no_request_and_lose_no_delivery(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger()
    options = ("--processes", "2", "--no-log-attempts", "--slots-per-endpoint", "50")
    async with (
        receiving(ledger) as receiver,
        serving(tmp_path, *options, database=url) as server,
    ):
        account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
        producer = Producer(server.port, KEY, account, ledger)
        producing = asyncio.create_task(producer.run(3))
        try:
            async with (
                asking(server.port, "/health/ready") as health,
                asking(server.port, "/metrics") as metrics,
            ):
                for _ in range(2):
                    before = set(server.children)
                    await rolled(server)
                    assert len(server.children) == 2
                    assert before.isdisjoint(server.children)
            producer.stop.set()
            await producing
        finally:
            producing.cancel()
        await until_none_is(server.api, "pending", within=40)
        assert await server.metric("hooktide_events_accepted_total") == len(ledger.acked)
    assert (ledger.unknown, ledger.refused) == (0, 0)
    assert health.keys() == {200}
    assert metrics.keys() == {200}
    ledger.check(secrets)
    assert ledger.duplicates == 0


async def test_a_process_that_is_killed_is_started_again_and_the_others_go_on(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path, *SEVERAL, database=url) as server:
        account, _ = await set_up(server.api, receiver, ())
        producer = Producer(server.port, KEY, account, ledger)
        producing = asyncio.create_task(producer.run(2))
        try:
            await until(lambda: bool(server.said("listening")))
            for killed in list(server.children):
                others = set(server.children) - {killed}
                os.kill(killed, signal.SIGKILL)
                await until(lambda: len(set(server.children) - {killed}) == 2)  # noqa: B023
                assert others <= set(server.children)
                accepted = len(ledger.acked)
                await until(lambda: len(ledger.acked) > accepted)  # noqa: B023
            producer.stop.set()
            await producing
        finally:
            producing.cancel()
        assert [line["code"] for line in server.said("a process ended")] == [-9] * 2
    assert ledger.unknown <= 4
    assert ledger.refused == 0


async def test_the_numbers_of_all_processes_are_shown_and_never_step_back(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger()
    names = ("hooktide_events_accepted_total", "hooktide_accept_seconds_count")
    async with (
        receiving(ledger) as receiver,
        serving(tmp_path, *SEVERAL, database=url) as server,
    ):
        account, _ = await set_up(server.api, receiver, ())

        async def publish(count: int) -> None:
            for _ in range(count):
                await server.api.post("/v1/events", event(account))

        await publish(30)
        for _ in range(5):
            assert [await server.metric(name) for name in names] == [30, 30]
        await until(lambda: bool(server.said("listening")))
        [killed, *_] = server.children
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(set(server.children) - {killed}) == 2)
        assert [await server.metric(name) for name in names] == [30, 30]
        await rolled(server)
        await publish(5)
        assert [await server.metric(name) for name in names] == [35, 35]
        assert await server.metric("hooktide_deliveries_pending") == 0


async def test_the_operator_key_and_a_login_link_are_made_once_and_shown_once(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path, *SEVERAL, database=url, key="") as server:
        await rolled(server)
        await server.stop()
        await server.start()
        lines = server.log.read_text().splitlines()
        told = [line for line in lines if "operator key" in line or "log in to" in line]
        assert len(told) == 2
        client = server.client(told[0].split()[-1])
        keys = (await client.get("/v1/keys"))["items"]
        assert [key["scope"] for key in keys] == ["operator"]
        assert "/dashboard/login/" in told[1]
        users = (await client.get("/v1/users"))["items"]
        assert [(each["name"], each["role"]) for each in users] == [("owner", "owner")]


async def test_the_password_of_the_database_is_in_no_log(tmp_path: Path, url: str) -> None:
    secret = url.replace("hooktide@", "hooktide:very-secret@")
    for options in ((), SEVERAL):
        async with serving(tmp_path, *options, database=secret) as server:
            await server.stop()
            assert "hooktide:***@127.0.0.1" in server.log.read_text()
            assert "very-secret" not in server.log.read_text()


async def test_a_new_process_that_does_not_start_leaves_the_others_in_their_places(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path, *SEVERAL, database=url) as server:
        await until(lambda: bool(server.said("listening")))
        before = server.children
        key_file = tmp_path / "hooktide.db.key"
        key_file.write_bytes(b"no key")
        server.signal(signal.SIGHUP)
        given_up = "rolling restart: aborted; the running processes stay"
        await until(lambda: bool(server.said(given_up)))
        assert server.children == before
        await server.api.get("/health/ready")
        assert "is not 32 bytes in base64" in server.log.read_text()


@pytest.mark.parametrize("wrong", ["key", "database"])
async def test_what_cannot_start_at_all_ends_with_one_line(
    tmp_path: Path, url: str, wrong: str
) -> None:
    if wrong == "key":
        (tmp_path / "hooktide.db.key").write_bytes(b"no key")
    else:
        url = url.rpartition("/")[0] + "/nowhere"
    log = tmp_path / "server.log"
    process = await run(tmp_path, 0, SEVERAL, log, url)
    async with asyncio.timeout(READY_TIMEOUT):
        assert await process.wait() == 2
    told = log.read_text()
    assert told.startswith("hooktide: ")
    assert told.count("\n") == 1


async def test_a_process_that_cannot_begin_any_more_is_tried_again_while_another_serves(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path, "--processes", "2", database=url) as server:
        await until(lambda: bool(server.said("listening")))
        key_file = tmp_path / "hooktide.db.key"
        right = key_file.read_bytes()
        key_file.write_bytes(b"no key")
        killed, other = server.children
        os.kill(killed, signal.SIGKILL)
        await until(lambda: codes(server) == [-9, 2])
        assert server.said("a process ended")[-1]["another_in"] == 5.0
        await server.api.get("/health/ready")
        key_file.write_bytes(right)
        await until(lambda: len(server.children) == 2)
        os.kill(other, signal.SIGKILL)
        await until(lambda: other not in server.children and len(server.children) == 2)
        assert codes(server) == [-9, 2, -9]
        await server.api.get("/health/ready")


async def test_a_server_of_which_no_process_can_begin_any_more_ends(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path, "--processes", "2", database=url) as server:
        await until(lambda: bool(server.said("listening")))
        (tmp_path / "hooktide.db.key").write_bytes(b"no key")
        for child in server.children:
            os.kill(child, signal.SIGKILL)
        assert await server.ended(READY_TIMEOUT) == 2
        assert [line["code"] for line in server.said("no further process can start; stopping")] == [
            2
        ]
        assert "is not 32 bytes in base64" in server.log.read_text()


def codes(server: Server) -> list[int]:
    return [line["code"] for line in server.said("a process ended")]


async def test_children_end_when_their_supervisor_is_killed_and_another_can_take_over(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger(hanging={"/hang"})
    options = (*SEVERAL, "--stop-within", "4")
    async with receiving(ledger) as receiver, serving(tmp_path, *options, database=url) as server:
        account, secrets = await set_up(server.api, receiver, ("/hang",))
        made = await server.api.post("/v1/events", event(account))
        ledger.acked[made["id"]] = b"{}"
        await until(lambda: len(ledger.arrived) == 1)
        orphans = server.children
        await server.kill()
        await until_free(server.port)
        ledger.hanging.clear()
        await server.start()
        await until_ended(orphans)
        await until_none_is(server.api, "pending")
    ledger.check(secrets)


async def until_free(port: int) -> None:
    """Wait until nothing accepts connections."""
    async with asyncio.timeout(READY_TIMEOUT):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_a_signal_to_all_processes_at_once_is_one_request_to_stop(
    tmp_path: Path, url: str
) -> None:
    ledger = Ledger(hanging={"/hang"})
    options = (*SEVERAL, "--stop-within", "4")
    async with receiving(ledger) as receiver, serving(tmp_path, *options, database=url) as server:
        account, secrets = await set_up(server.api, receiver, ("/hang",))
        made = await server.api.post("/v1/events", event(account))
        ledger.acked[made["id"]] = b"{}"
        await until(lambda: len(ledger.arrived) == 1)
        await until(lambda: bool(server.said("listening")))
        for pid in (*server.children, server.pid):
            os.kill(pid, signal.SIGTERM)
        assert await server.ended(READY_TIMEOUT) == 0
        ledger.hanging.clear()
        await server.start()
        await until_none_is(server.api, "pending")
    ledger.check(secrets)
    assert ledger.arrived_at("/hang") == [made["id"]] * 2


async def test_a_process_that_stands_still_does_not_hold_up_the_end_for_ever(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path, *SEVERAL, "--stop-within", "8", database=url) as server:
        await until(lambda: bool(server.said("listening")))
        children = server.children
        os.kill(children[0], signal.SIGSTOP)
        server.terminate()
        assert await server.ended(READY_TIMEOUT) == 1
        assert not any(map(lives, children))
        assert [line["pid"] for line in server.said("killing a process that does not end")] == [
            children[0]
        ]


async def test_a_whole_server_that_stops_says_so_until_its_end(tmp_path: Path, url: str) -> None:
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as receiver, serving(tmp_path, *SEVERAL, database=url) as server:
        account, _ = await set_up(server.api, receiver, ("/hang",))
        await server.api.post("/v1/events", event(account))
        await until(lambda: len(ledger.arrived) == 1)
        server.terminate()
        ready = request("GET", "/health/ready")
        async with asyncio.timeout(READY_TIMEOUT):
            while b" 503 " not in (await raw(server.port, ready)).splitlines()[0]:
                await asyncio.sleep(0.01)
        server.terminate()
        assert await server.ended(within=READY_TIMEOUT) == 1
        await until_free(server.port)


async def test_a_child_that_cannot_stay_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = (
        "import asyncio, sys\n"
        "from hooktide.runtime.logs import set_up\n"
        "from hooktide.app.processes.single import listen\n"
        "from hooktide.app.processes.supervisor import Supervisor\n"
        "from hooktide.runtime.settings import Settings\n"
        "set_up()\n"
        "settings = Settings(listen='127.0.0.1:0', processes=2)\n"
        "dying = [sys.executable, '-S', '-c', 'raise SystemExit(3)']\n"
        "sys.exit(asyncio.run(Supervisor(dying, settings, listen(settings)).run()))\n"
    )
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=stream, stderr=stream
        )
    supervisor = Server(tmp_path, log, process=process)
    try:
        await until(lambda: len(supervisor.said("a process ended")) >= 4)
        told = supervisor.said("a process ended")
        assert [line["another_in"] for line in told[:4]] == [0.1, 0.2, 0.4, 0.8]
        assert {line["code"] for line in told} == {3}
        supervisor.terminate()
        assert await supervisor.ended(READY_TIMEOUT) == 0
    finally:
        await supervisor.kill()
