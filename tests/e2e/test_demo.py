"""Runs ``hooktide demo`` as a user would."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

from processkit import send


async def demo(*arguments: str, path: str | None = None) -> Process:
    """Start the demo; ``path`` is where it finds programs."""
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "140"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hooktide", "demo", "--port", "0", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env=environment | ({} if path is None else {"PATH": path}),
    )


async def ended(process: Process) -> tuple[int, str]:
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_demo_keeps_every_promise() -> None:
    code, output = await ended(await demo("--once"))
    assert code == 0, output
    for shown in (
        "InvoiceAhoy: 6 of 6 deliveries arrived and verified",
        "Offerte Adviseur: 12 of 12",
        "House Check: 6 of 6",
        "Invoice Maker: 6 of 6",
        "Defacto: 4 of 4",
        "plan_limit_reached",
        "project_not_live",
        "a delivery answered 500 is made again, and arrives",
        "a disabled endpoint is sent nothing",
        "as promised",
    ):
        assert shown in output


async def test_a_demo_that_cannot_keep_its_promises_says_so_and_fails(tmp_path: Path) -> None:
    broken = tmp_path / "node"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    code, output = await ended(await demo("--once", path=str(tmp_path)))
    assert code == 1
    assert "the consumer ended" in output


async def test_an_interrupted_demo_leaves_no_process_behind() -> None:
    process = await demo()
    assert process.stdout is not None
    async with asyncio.timeout(120):
        shown = await process.stdout.readuntil(b"Ctrl-C ends the demo")
    assert b"/dashboard/login/" in shown
    assert b"/portal/" in shown
    children = children_of(process.pid)
    assert len(children) == 6  # the server and five consumers
    send(process, signal.SIGINT)
    code, output = await ended(process)
    assert code == 0, output
    assert [child for child in children if is_running(child)] == []


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
