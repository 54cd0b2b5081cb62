"""``hooktide`` in a separate process that starts quickly: see ``forkserver``.

Tests of start-up itself, and tests that run it under another program, execute Python as users do.
"""

import asyncio
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

from postgreskit import for_the_session

TIMEOUT = 120.0
"""Seconds that a command may take which ends by itself."""


@functools.cache
def _server() -> socket.socket:
    """Start the fork server, which exits when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    command = [sys.executable, "-P", str(Path(__file__).with_name("forkserver.py")), str(number)]
    with theirs:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[number])
    stack = for_the_session(contextlib.ExitStack())
    stack.callback(process.wait)
    stack.callback(ours.close)
    return ours


def _fork(
    words: Sequence[str],
    out: IO[bytes],
    err: IO[bytes],
    env: Mapping[str, str],
    cwd: Path | None = None,
) -> tuple[int, socket.socket]:
    """Return the process id, and a socket that receives the exit code."""
    request = {"words": words, "env": {**os.environ, **env}, "cwd": str(cwd or Path.cwd())}
    status, theirs = socket.socketpair()
    with theirs:
        files = [out.fileno(), err.fileno(), theirs.fileno()]
        socket.send_fds(_server(), [json.dumps(request).encode()], files)
    pid = b""
    while not pid.endswith(b"\n"):
        more = status.recv(1)
        assert more, "the process could not be forked"
        pid += more
    return int(pid), status


class Process:
    """A process of ``hooktide``, with the part of ``asyncio.subprocess.Process`` that tests use."""

    def __init__(self, pid: int, status: socket.socket, out: IO[bytes]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._out = out
        self._ending = asyncio.create_task(self._until_ended(status))

    async def _until_ended(self, status: socket.socket) -> int:
        reader, writer = await asyncio.open_unix_connection(sock=status)
        self.returncode = int(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return self.returncode

    async def wait(self) -> int:
        """Wait for the process to exit, and return its exit code."""
        return await asyncio.shield(self._ending)

    @property
    def said(self) -> bytes:
        """Return its output so far."""
        number = self._out.fileno()
        return os.pread(number, os.fstat(number).st_size, 0)

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the process to exit, and return its output."""
        await self.wait()
        with self._out:
            return self.said, b""

    def send_signal(self, number: int) -> None:
        """Send the process a signal, unless it has exited."""
        if self.returncode is None:
            os.kill(self.pid, number)


AnyProcess: TypeAlias = asyncio.subprocess.Process | Process
"""One that Python was executed for, or one that was forked."""


async def start(
    *words: str,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start a command that writes to ``out``.

    Without ``out``, ``communicate`` returns the output.
    """
    into = tempfile.TemporaryFile() if out is None else out  # noqa: SIM115 - closed with the process
    process = Process(*_fork(words, into, err or into, env or {}), into)
    if out is None:
        weakref.finalize(process, into.close)
    return process


async def run(*words: str) -> tuple[int, str]:
    """Run a command. Return its exit code and output."""
    process = await start(*words)
    async with asyncio.timeout(TIMEOUT):
        told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


def run_in(cwd: Path, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, as ``subprocess.run`` does."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        _, status = _fork(words, out, err, env, cwd)
        with status:
            status.settimeout(TIMEOUT)
            code = int(status.recv(16))
        out.seek(0)
        err.seek(0)
        said = out.read().decode(), err.read().decode()
    return subprocess.CompletedProcess(words, code, *said)
