"""Runs the command line in this process, and captures its exit code and output."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import forkkit
from processkit import kill, send

from hooktide.cli import main

TIMEOUT = 120


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        """Each line of the output, parsed as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def one(self) -> Any:
        [value] = self.json
        return value

    def ok(self) -> "Said":
        assert self.code == 0, self
        return self


def hooktide(*words: str, typed: str | bytes = "", **environment: str) -> Said:
    """Run ``hooktide`` with these arguments. ``typed`` is its standard input."""
    given = typed.encode() if isinstance(typed, str) else typed
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    with (
        patch.dict(os.environ, environment),
        patch.object(sys, "argv", ["hooktide", *words]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


class Running:
    """``hooktide`` in a separate process that runs until it is interrupted."""

    def __init__(self, process: forkkit.Process, out: Path, err: Path) -> None:
        self._process = process
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    async def until(self, seen: Callable[["Running"], Any]) -> Any:
        """Wait until ``seen`` returns something true, and return that."""
        async with asyncio.timeout(TIMEOUT):
            while not (found := seen(self)):
                assert self._process.returncode is None, (self.out, self.err)
                await asyncio.sleep(0.05)
            return found

    async def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does, and return the exit code."""
        send(self._process, signal.SIGINT)
        async with asyncio.timeout(TIMEOUT):
            return await self._process.wait()

    async def ended(self) -> int | None:
        """Wait for the process to exit, and return its exit code."""
        async with asyncio.timeout(TIMEOUT):
            return await self._process.wait()

    async def kill(self) -> None:
        await kill(self._process)


@asynccontextmanager
async def going(folder: Path, *words: str, **environment: str) -> AsyncIterator[Running]:
    out, err = folder / "out", folder / "err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = await forkkit.start(*words, out=to_out, err=to_err, env=environment)
    running = Running(process, out, err)
    try:
        yield running
    finally:
        await running.kill()
