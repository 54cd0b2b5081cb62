"""A disk that fails to sync: the process ends at once, and nothing answered 202 is lost."""

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from accounting import Ledger
from apikit import ApiError
from serverkit import Server, receiving, set_up

from hooktide.store.sqlite.connection.connection import EXIT_SYNC_FAILED

EVENT = {"type": "thing.happened", "payload": {"n": 1}}


LARGE = {"type": "thing.happened", "payload": {"text": "x" * 200_000}}


@pytest.mark.parametrize(
    ("only", "published"),
    [((), EVENT), (("-P", "{db}"), LARGE)],
    ids=["a commit's", "that of the log copied into the database"],
)
async def test_a_failed_sync_ends_the_process_before_anything_is_believed(
    tmp_path: Path, only: Sequence[str], published: dict[str, Any]
) -> None:
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
            *[each.format(db=tmp_path / "hooktide.db") for each in only],
            "-e", f"inject=fsync,fdatasync:error=EIO:when={1 if only else 3}+",
            stderr=PIPE, stdout=DEVNULL,
        )  # fmt: skip
        assert tracer.stderr is not None
        await tracer.stderr.readline()
        accepted = await publish_until_refused(server, account, published)
        assert accepted
        assert await server.ended(30) == EXIT_SYNC_FAILED
        await tracer.communicate()
        assert "the disk failed to sync" in server.log.read_text()
        await server.start()
        for event_id in accepted:
            assert (await server.api.get(f"/v1/events/{event_id}"))["id"] == event_id


async def publish_until_refused(
    server: Server, account: str, published: dict[str, Any]
) -> list[str]:
    """Publish events one after the other. Return the ids of those that were accepted."""
    accepted: list[str] = []
    while True:
        try:
            answer = await server.api.post("/v1/events", {"account": account, **published})
        except ApiError:
            return accepted
        accepted.append(answer["id"])
