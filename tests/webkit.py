"""The whole application in this process, on a real database, and a small caller for it."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import Message

from hooktide.app import App, open_store
from hooktide.dialects import read_shipped
from hooktide.settings import Settings
from hooktide.vault import Vault, load_key

OPERATOR = "htk_" + "o" * 43
RECEIVER = "http://127.0.0.1:65000/hook"


@dataclass
class Answer:
    """What came back. ``json`` is the body, read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of the problem that this is, and a check that it is a well-formed one."""
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
        """The answer's JSON, where it is the expected one."""
        assert self.status == status, (self.status, self.body)
        return self.json if self.body else None


@dataclass
class Client:
    """Calls the application as an ASGI server does, with one key."""

    app: App
    key: str = OPERATOR

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
        """Make a request; ``value`` is sent as JSON, ``body`` as it is, ``chunks`` one by one."""
        content = body if body is not None else b"" if value is None else msgspec.json.encode(value)
        sent = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if content and chunks is None:
            sent |= {"content-type": "application/json", "content-length": str(len(content))}
        pairs = [*(sent | dict(headers or {})).items(), *(more or [])]
        return await self._exchange(method, path, pairs, [content] if chunks is None else chunks)

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
            "path": path,
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
    """The application, its operator's client, and what most tests begin with."""

    app: App
    operator: Client
    made: dict[str, Any] = field(default_factory=dict)

    def client(self, key: str) -> Client:
        return Client(self.app, key)

    async def key(self, scope: str, **named: str) -> Client:
        answer = await self.operator.post("/v1/keys", {"scope": scope, "name": "test", **named})
        return self.client(answer.ok(201)["key"])

    async def account(self, project: str = "invoice-maker", reference: str = "acme") -> Any:
        """Add an account to a shipped project, which is applied first."""
        (await self.operator.apply(project)).ok()
        given = {"project": project, "reference": reference}
        return (await self.operator.post("/v1/accounts", given)).ok(201)

    async def endpoint(self, account: str = "acme", **more: Any) -> Any:
        given = {"account": account, "url": RECEIVER, "event_types": ["*"], **more}
        return (await self.operator.post("/v1/endpoints", given)).ok(201)


@asynccontextmanager
async def running(
    folder: Path, url: str = "", public_url: str = "", **more: Any
) -> AsyncIterator[Site]:
    """Run the application, on SQLite or on the database at ``url``; loopback may be sent to."""
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
    key = load_key(settings.key_path)
    app = App(settings, await open_store(settings, Vault(key)), key, 80)
    await app.start(OPERATOR)
    yield Site(app, Client(app))
    await app.stop()
