"""The demo's server: the real one, in its own process on an empty database."""

import asyncio
import os
import secrets
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

from hooktide.client import AsyncClient, ClientError
from hooktide.client.requests import command
from hooktide.client.retries import RetryPolicy
from hooktide.client.server import Server
from hooktide.client.transport import AsyncTransport

READY_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0
TIMEOUT = 30.0
_POLL_INTERVAL = 0.05


class DemoServer:
    """A running server in ``folder``; use it as an async context manager.

    ``port`` 0 means any free one; so does a port that is taken.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.key = "htk_" + secrets.token_urlsafe(32)
        self.url = f"http://127.0.0.1:{_free_port(port)}"
        self.client = AsyncClient(self.url, self.key, timeout=TIMEOUT)
        self.log = folder / "server.log"
        self._folder = folder
        self._process: Process | None = None

    async def __aenter__(self) -> "DemoServer":
        command = [sys.executable, "-m", "hooktide", "serve"]
        command += ["--database", str(self._folder / "hooktide.db")]
        command += ["--listen", self.url.removeprefix("http://")]
        command += ["--allow-network", "127.0.0.0/8"]
        with self.log.open("wb") as log:
            # Its own session: Ctrl-C at the terminal is for the demo, which stops it in turn.
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"HOOKTIDE_OPERATOR_KEY": self.key},
                start_new_session=True,
            )
        try:
            await self._ready(self._process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _ready(self, process: Process) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                # Another process sets no event of ours: there is nothing to do but look.
                while not await self._answers(process):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_INTERVAL)
        except TimeoutError:
            raise ConnectionError(f"the server did not start:\n{self._tail()}") from None

    async def _answers(self, process: Process) -> bool:
        if process.returncode is not None:
            raise ConnectionError(f"the server ended at once:\n{self._tail()}")
        transport = AsyncTransport(Server(self.url, self.key), TIMEOUT, RetryPolicy(retries=0))
        try:
            await transport.send(command("GET", "/health/ready"))
        except ClientError:
            return False
        finally:
            await transport.close()
        return True

    def _tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-2000:].strip()


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConnectionError("no port is free on 127.0.0.1")
