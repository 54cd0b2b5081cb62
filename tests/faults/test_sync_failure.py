"""A disk that fails to sync: the process ends at once, and nothing answered 202 is lost."""

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import AsyncExitStack
from pathlib import Path

from accounting import Ledger
from serverkit import Server, receiving, set_up

from hooktide.demo.api import ApiError
from hooktide.store.sqlite.writer import EXIT_SYNC_FAILED

EVENT = {"type": "thing.happened", "payload": {"n": 1}}


async def test_a_failed_sync_ends_the_process_before_anything_is_believed(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    assert strace is not None, "install strace: it makes the disk fail"
    ledger = Ledger()
    async with receiving(ledger) as receiver, AsyncExitStack() as ended:
        server = Server(tmp_path, tmp_path / "server.log")
        await server.start()
        ended.push_async_callback(server.kill)
        account, _ = await set_up(server.api, receiver, ("/ok",))
        tracer = await asyncio.create_subprocess_exec(
            strace, "-f", "-p", str(server.pid), "-e", "trace=fsync,fdatasync",
            "-e", "inject=fsync,fdatasync:error=EIO:when=3+", stderr=PIPE, stdout=DEVNULL,
        )  # fmt: skip
        assert tracer.stderr is not None
        await tracer.stderr.readline()
        accepted = await publish_until_refused(server, account)
        assert accepted
        assert await server.ended(10) == EXIT_SYNC_FAILED
        await tracer.communicate()
        assert "the disk failed to sync" in server.log.read_text()
        await server.start()
        for event_id in accepted:
            assert (await server.api.get(f"/v1/events/{event_id}"))["id"] == event_id


async def publish_until_refused(server: Server, account: str) -> list[str]:
    """Publish one event after the other; return the ids of those that were accepted."""
    accepted: list[str] = []
    while True:
        try:
            answer = await server.api.post("/v1/events", {"account": account, **EVENT})
        except ApiError:
            return accepted
        accepted.append(answer["id"])
