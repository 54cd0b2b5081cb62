"""The whole application in this process, on a real database, and a small client for it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from apikit import LATE, MAX_REPEATS
from sqlitekit import prepare
from starlette.types import Message
from storekit import at_last

from hooktide.app import App, Lifecycle, build, open_store
from hooktide.dialects import read_shipped
from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import Failed
from hooktide.domain.ids import read
from hooktide.domain.model import HOUR, MINUTE, Attempt, Scope
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import load_vault
from hooktide.store.base import AttemptRecord, NewEvent

OPERATOR = "htk_" + "o" * 43
RECEIVER = "http://127.0.0.1:65000/hook"


@dataclass
class Answer:
    """A response. ``json`` is the parsed body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of this problem response, which is checked to be well formed."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status, problem
        assert problem["title"], problem
        assert problem["detail"], problem
        assert problem["instance"].startswith("urn:uuid:"), problem
        return str(problem["type"]).removeprefix("/problems/")

    @property
    def pointers(self) -> list[str]:
        return [fault.get("pointer", "") for fault in self.json["errors"]]

    def ok(self, status: int = 200) -> Any:
        """Return the JSON body, and check the status."""
        assert self.status == status, (self.status, self.body)
        return self.json if self.body else None


@dataclass
class Client:
    """Calls the application as an ASGI server does, with one API key."""

    app: App
    key: str = OPERATOR
    stays: bool = False
    """Whether it waits for its answer: else it is gone once its request is sent."""

    async def call(
        self,
        method: str,
        path: str,
        value: Any = None,
        *,
        body: bytes | None = None,
        chunks: list[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        more: list[tuple[str, str]] | None = None,
    ) -> Answer:
        """Make a request. ``value`` is sent as JSON, ``body`` verbatim, ``chunks`` one by one."""
        content = body if body is not None else b"" if value is None else msgspec.json.encode(value)
        sent = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if content and chunks is None:
            sent |= {"content-type": "application/json", "content-length": str(len(content))}
        pairs = [*(sent | dict(headers or {})).items(), *(more or [])]
        parts = [content] if chunks is None else chunks
        answer = await self._exchange(method, path, pairs, parts)
        for _ in range(MAX_REPEATS):
            if LATE not in answer.body:
                break
            answer = await self._exchange(method, path, pairs, parts)
        return answer

    async def _exchange(
        self, method: str, target: str, headers: list[tuple[str, str]], chunks: list[bytes]
    ) -> Answer:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        coming = iter(chunks)
        left = itertools.count(len(chunks) - 1, -1)
        messages: list[Message] = []

        async def receive() -> Message:
            chunk = next(coming, None)
            if chunk is None:
                if self.stays:
                    await asyncio.Event().wait()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunk, "more_body": next(left) > 0}

        async def send(message: Message) -> None:
            messages.append(message)

        await self.app.site(scope, receive, send)
        return _answer(messages)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, value: Any = None) -> Answer:
        return await self.call("POST", path, value)

    async def put(self, path: str, value: Any = None) -> Answer:
        return await self.call("PUT", path, value)

    async def patch(self, path: str, value: Any) -> Answer:
        return await self.call("PATCH", path, value)

    async def delete(self, path: str) -> Answer:
        return await self.call("DELETE", path)

    async def apply(self, name: str, text: str | None = None) -> Answer:
        """Apply a project file: this text, or the shipped one of this name."""
        content = (read_shipped(name) if text is None else text).encode()
        kind = {"content-type": "application/toml"}
        return await self.call("PUT", f"/v1/projects/{name}", body=content, headers=kind)


def _answer(messages: list[Message]) -> Answer:
    start, *parts = messages
    assert start["type"] == "http.response.start"
    headers = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
    return Answer(start["status"], headers, b"".join(part["body"] for part in parts))


@dataclass
class Site:
    """The application, an operator's client, and the setup that most tests need."""

    app: App
    operator: Client
    made: dict[str, Any] = field(default_factory=dict)

    def client(self, key: str) -> Client:
        return Client(self.app, key)

    async def key(self, scope: str, **named: str) -> Client:
        answer = await self.operator.post("/v1/keys", {"scope": scope, "name": "test", **named})
        return self.client(answer.ok(201)["key"])

    async def account(self, project: str = "invoice-maker", reference: str = "acme") -> Any:
        """Apply a shipped project file, and create an account in the project."""
        (await self.operator.apply(project)).ok()
        given = {"project": project, "reference": reference}
        return (await self.operator.post("/v1/accounts", given)).ok(201)

    async def endpoint(self, account: str = "acme", **more: Any) -> Any:
        given = {"account": account, "url": RECEIVER, "event_types": ["*"], **more}
        return (await self.operator.post("/v1/endpoints", given)).ok(201)

    async def rest(self, endpoint: str) -> None:
        """Make an endpoint respond to a test with a Retry-After of an hour."""
        store, now = self.app.store, self.app.clock()
        found = await store.get_endpoint(Scope(), read("ep", endpoint))
        event = NewEvent(
            project_id=found.project_id,
            account_id=found.account_id,
            type="invoice.paid",
            payload=b"{}",
            test=True,
        )
        claim = await store.add_test(Scope(), found.id, event, now, MINUTE)
        attempt = Attempt(
            delivery_id=claim.delivery_id,
            number=1,
            started_at=now,
            duration=0,
            status=429,
            error="",
            detail="",
            request_head=b"POST / HTTP/1.1\r\n\r\n",
            response_head=b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\n\r\n",
            response_body=b"",
            response_truncated=False,
        )
        store.record(AttemptRecord(claim, attempt, Failed(), RestRequest(429, HOUR)))
        await store.recorded()


@asynccontextmanager
async def running(
    folder: Path, url: str = "", public_url: str = "", **more: Any
) -> AsyncIterator[Site]:
    """Run the application on SQLite or on the database at ``url``. It may deliver to loopback."""
    settings = Settings(
        database=url or str(folder / "web.db"),
        key_file=str(folder / "web.key"),
        public_url=public_url,
        allow_network=("127.0.0.0/8",),
        chat_host=("127.0.0.1",),
        log_attempts=False,
        stop_within=4.0,
        **more,
    )
    if not url:
        prepare(settings.database)
    vault = load_vault(settings.key_path)
    store = await at_last(lambda: open_store(settings, vault))
    app = build(settings, store, vault, 80)
    life = Lifecycle(app)
    await life.start(OPERATOR)
    yield Site(app, Client(app))
    await life.stop()
