"""The real server in a separate process that tests start, stop, limit and restart."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forkkit
import msgspec
from accounting import PROJECT, Ledger, Receiver
from apikit import Api, ApiError
from ports import free_port
from processkit import kill, send
from sqlitekit import prepare

KEY = "htk_" + "k" * 43
READY_TIMEOUT = 120


@dataclass
class Server:
    """A server on the database in ``folder``, or the PostgreSQL at the URL ``database``.

    ``log`` is its log, which spans restarts. ``key`` is the operator's key; if it is empty, the
    server generates one. ``under`` is a command prefix that runs it, like ``env`` or ``ip netns
    exec``.
    """

    folder: Path
    log: Path
    port: int = field(default_factory=free_port)
    options: Sequence[str] = ()
    process: forkkit.AnyProcess | None = None
    database: str = ""
    key: str = KEY
    host: str = "127.0.0.1"
    under: Sequence[str] = ()

    @property
    def api(self) -> Api:
        return self.client(self.key)

    def client(self, key: str) -> Api:
        return Api(f"http://{self.host}:{self.port}", key)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start the server, and wait until it is ready."""
        self.process = await run(
            self.folder,
            self.port,
            self.options,
            self.log,
            self.database,
            self.key,
            self.host,
            self.under,
        )
        async with asyncio.timeout(READY_TIMEOUT):
            while True:
                assert self.process.returncode is None, self.log.read_text()[-2000:]
                try:
                    await self.api.get("/health/ready")
                except ApiError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def kill(self) -> None:
        assert self.process is not None
        await kill(self.process)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        assert self.process is not None
        send(self.process, number)

    @property
    def children(self) -> list[int]:
        """The ids of its child processes."""
        found = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for file in found for pid in file.read_text().split()]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log entries of this event, across restarts."""
        lines = [line for line in self.log.read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in map(msgspec.json.decode, lines) if line["event"] == event]

    async def ended(self, within: float) -> int:
        """Wait for the process to exit, and return its exit code."""
        assert self.process is not None
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def stop(self) -> None:
        """Stop the server with SIGTERM, as an operator does."""
        self.terminate()
        assert await self.ended(READY_TIMEOUT) == 0

    def limit(self, what: int, soft: int | None) -> None:
        """Set a resource limit of the running process. ``None`` removes it."""
        _, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (hard if soft is None else soft, hard))

    async def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        page = await raw(self.port, request("GET", "/metrics"), host=self.host)
        lines = [line for line in page.decode().splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


async def run(
    folder: Path,
    port: int,
    options: Sequence[str],
    log: Path,
    database: str = "",
    key: str = KEY,
    host: str = "127.0.0.1",
    under: Sequence[str] = (),
) -> forkkit.AnyProcess:
    command = ["serve", "--database", database or str(folder / "hooktide.db")]
    command += ["--key-file", str(folder / "hooktide.db.key")]
    command += ["--listen", f"{host}:{port}", "--allow-network", "127.0.0.0/8", *options]
    with log.open("ab") as stream:
        if not under:
            return await forkkit.start(*command, out=stream, env={"HOOKTIDE_OPERATOR_KEY": key})
        return await asyncio.create_subprocess_exec(
            *(*under, sys.executable, "-m", "hooktide", *command),
            stdout=stream,
            stderr=stream,
            env=os.environ | {"HOOKTIDE_OPERATOR_KEY": key},
        )


@asynccontextmanager
async def serving(
    tmp_path: Path,
    *options: str,
    folder: Path | None = None,
    database: str = "",
    key: str = KEY,
    name: str = "server",
    host: str = "127.0.0.1",
    under: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """Run a server, and make sure that its process has exited afterwards.

    The log must not contain a traceback, whatever the fault. ``name`` distinguishes log files.
    """
    server = Server(
        folder or tmp_path,
        tmp_path / f"{name}.log",
        options=options,
        database=database,
        key=key,
        host=host,
        under=under,
    )
    if not database:
        prepare(server.folder / "hooktide.db")
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
    log = server.log.read_text()
    assert "Traceback" not in log, log[max(0, log.index("Traceback") - 500) :][:3000]


@asynccontextmanager
async def receiving(ledger: Ledger, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run a receiver that records its requests, and yield its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(ledger), host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in list(ledger.open):
            transport.close()


async def set_up(
    api: Api,
    receiver: int,
    paths: Sequence[str],
    *,
    reference: str = "acme",
    project: str = PROJECT,
    plan: str | None = None,
    host: str = "127.0.0.1",
) -> tuple[str, dict[str, str]]:
    """Create the project, an account and its endpoints. Return its id and the secrets by path."""
    await api.put_toml("/v1/projects/accounting", project)
    new = {"project": "accounting", "reference": reference, "plan": plan}
    account = await api.post("/v1/accounts", new)
    secrets = {}
    for path in paths:
        url = f"http://{host}:{receiver}{path}"
        made = {"account": account["id"], "url": url, "event_types": ["*"]}
        secrets[path] = (await api.post("/v1/endpoints", made))["secret"]["whsec"]
    return account["id"], secrets


def event(account: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    return {"account": account, "type": "thing.happened", "payload": payload or {}, **more}


async def until_none_is(api: Api, state: str, within: float = 120) -> None:
    """Wait until no delivery is in this state."""
    async with asyncio.timeout(within):
        while (await api.get(f"/v1/deliveries?state={state}&limit=1"))["items"]:
            await asyncio.sleep(0.05)


def request(method: str, path: str, body: bytes = b"", *, key: str = KEY) -> bytes:
    """Return a request with ``Connection: close``."""
    return (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        "connection: close\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def raw(port: int, data: bytes, within: float = 60, host: str = "127.0.0.1") -> bytes:
    """Send bytes, and return everything until the server closes the connection."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    try:
        writer.write(data)
        async with asyncio.timeout(within):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()
