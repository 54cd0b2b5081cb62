"""A real server with request bins only, and shortcuts to send to them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
from apikit import Api
from uvicorn.server import ServerState

from hooktide.actions.bins.bin_check import BinCheck
from hooktide.actions.bins.bins import Bins
from hooktide.actions.rate_limits import RateLimits
from hooktide.domain.dialect.dialect import Dialect, Signature
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.model import SECOND, ApiKey, Endpoint, Event, KeyScope, Micros, Secret
from hooktide.domain.project.project import EventType, Project
from hooktide.runtime.vault import Vault
from hooktide.store.directory import Directory
from hooktide.store.sqlite import SqliteStore, open_sqlite
from hooktide.web.api.bins import OPERATIONS
from hooktide.web.auth import Authenticator, new_key
from hooktide.web.bins.bins import bin_routes
from hooktide.web.http.body_memory import BodyMemory
from hooktide.web.operations.deps import Services
from hooktide.web.operations.pagination import Cursors
from hooktide.web.pages.bins.routes import bin_page_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.rendering import static_routes
from hooktide.web.site import Routes, Site, at_hand

NOON: Micros = 1_767_268_800 * SECOND
PROJECT = Project(
    name="acme",
    title="Acme",
    dialect=Dialect(signature=Signature(header="x-acme-signature")),
    event_types=(EventType(name="invoice.paid"),),
)
SECRET = new_secret(bytes(range(32)))


class StandingClock:
    """A clock that only advances when a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> Micros:
        return self.now


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class BinSite:
    """The server, an operator's client, and the clock that a test controls."""

    store: SqliteStore
    clock: StandingClock
    stopping: asyncio.Event
    port: int
    api: Api

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def create_bin(self, *script: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.api.post("/v1/bins", {"script": list(script), **more})
        return made

    async def requests(self, made: Mapping[str, Any]) -> list[dict[str, Any]]:
        page = await self.api.get(f"/v1/bins/{made['id']}/requests")
        return list(page["items"])

    async def client(self, scope: KeyScope, **ids: int) -> Api:
        text, key, digest = new_key(scope, "test", NOON, **ids)  # type: ignore[arg-type]  # ids only
        stored: ApiKey = await self.store.create_key(key, digest)
        assert stored.scope is scope
        return Api(self.url, text)

    async def create_endpoint(self, url: str, secret: Secret = SECRET) -> Endpoint:
        row = await self.store.put_project(PROJECT, NOON)
        account = await self.store.create_account(row.id, "customer", "", "default", NOON)
        wanted = Endpoint(
            id=0,
            project_id=row.id,
            account_id=account.id,
            url=url,
            event_types=("*",),
            created_at=0,
            updated_at=0,
        )
        return await self.store.create_endpoint(wanted, secret, None, NOON)

    async def send(
        self,
        url: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read the whole response."""
        path = url.removeprefix(self.url)
        lines = [f"{method} {path} HTTP/1.1", "host: bins", "connection: close"]
        lines += [f"content-length: {len(body)}"] if body else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return await self.send_raw(head + body)

    async def send_raw(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return _parse(await reader.read(-1))
        finally:
            writer.close()


def _parse(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


def event(payload: bytes) -> Event:
    return Event(id=1 << 40, account_id=1, type="invoice.paid", payload=payload, occurred_at=NOON)


@asynccontextmanager
async def bin_site(folder: Path) -> AsyncIterator[BinSite]:
    """Run the server for the duration of a test."""
    clock, stopping = StandingClock(), asyncio.Event()
    store = open_sqlite(str(folder / "bins.db"), Vault(b"k" * 32), NOON)
    text, key, digest = new_key(KeyScope.OPERATOR, "test", NOON)
    await store.create_key(key, digest)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    directory, bins = Directory(store), Bins(store, clock)
    parts = SimpleNamespace(
        bins=bins,
        clock=clock,
        public_url=url,
        cursors=Cursors(lambda: [b"k" * 32]),
        limits=RateLimits(directory, clock),
    )
    services = cast("Services", parts)  # what the bins' operations work with
    routes = [
        *[each.route(services, Authenticator(store, directory, clock)) for each in OPERATIONS],
        *bin_routes(bins, BinCheck(store, directory, url), clock, stopping),
        *bin_page_routes(services, Live(stopping), stopping),
        *static_routes(),
    ]
    app = Site(at_hand(Routes(routes)), None, BodyMemory(1 << 26))
    state, server = await _serve(app, listener)
    yield BinSite(store, clock, stopping, port, Api(url, text))
    stopping.set()
    server.close()
    for connection in list(state.connections):
        connection.shutdown()
    await asyncio.gather(*state.tasks)
    await store.close()


async def _serve(app: Site, listener: socket.socket) -> tuple[ServerState, asyncio.Server]:
    """Serve as uvicorn does, without its main loop's periodic tick."""
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, ws="none")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
        sock=listener,
    )
    return state, server
