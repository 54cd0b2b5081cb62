"""An API client that does not use ``hooktide.client``, so that server tests do not depend on it."""

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hooktide.cli.demo.server import DemoServer
from hooktide.domain.errors import ConfigError

TIMEOUT = 60.0
LATE = b"the database did not answer in time; try again"
MAX_REPEATS = 5
"""What a busy machine makes of a request is repeated, as callers do."""


class ApiError(Exception):
    """The server rejected a call, or could not be reached (then ``status`` is 0).

    ``code`` is the last part of the problem's type. The message says what to do.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class Api:
    """A client of one server. ``key`` is its API key, ``within`` the timeout of a call in seconds.

    ``project`` limits the calls to one project; an empty string means no limit.
    """

    def __init__(self, server: str, key: str, within: float = TIMEOUT, project: str = "") -> None:
        if not project.isascii() or (project and not project.isprintable()):
            raise ConfigError(f"{project!r} is not a project's name", key="project")
        parts = urlsplit(server.rstrip("/"))
        self.server = server.rstrip("/")
        self._host = parts.hostname or ""
        self._netloc = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._key = key
        self._within = within
        self._project = project
        if parts.scheme not in {"http", "https"} or not self._host:
            raise ApiError(0, "invalid_server", f"{server!r} is not like http://127.0.0.1:8080")

    async def get(self, path: str) -> Any:
        """Return the resource at ``path``."""
        return await self._call("GET", path)

    async def post(self, path: str, value: Any = None) -> Any:
        """Send ``value`` as JSON, and return the response."""
        return await self._call("POST", path, msgspec.json.encode({} if value is None else value))

    async def patch(self, path: str, value: Any) -> Any:
        """Update the resource at ``path``, and return the response."""
        return await self._call("PATCH", path, msgspec.json.encode(value))

    async def delete(self, path: str) -> None:
        """Delete the resource at ``path``."""
        await self._call("DELETE", path)

    async def put_toml(self, path: str, text: str) -> Any:
        """Send a project file, and return the response."""
        return await self._call("PUT", path, text.encode(), "application/toml")

    async def _call(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> Any:
        """Make one call. Return ``None`` if the response has no body.

        :raises ApiError: the server rejected the call or cannot be reached.
        """
        request = self._request(method, path, body, kind)
        status, answer = await self._exchange(request)
        for _ in range(MAX_REPEATS):
            if LATE not in answer:
                break
            status, answer = await self._exchange(request)
        value = _decode(answer)
        if status >= 400:
            problem = value if isinstance(value, dict) else {}
            code = str(problem.get("type", "")).rpartition("/")[2]
            detail = problem.get("detail") or f"{method} {path} was answered {status}"
            raise ApiError(status, code, _with_places(detail, problem))
        return value

    def _request(self, method: str, path: str, body: bytes, kind: str) -> bytes:
        # HTTP/1.0, so that the response is neither chunked nor kept alive: it ends when the
        # connection closes.
        lines = [
            f"{method} {self._prefix}{path} HTTP/1.0",
            f"host: {self._netloc}",
            f"authorization: Bearer {self._key}",
            "accept: application/json",
        ]
        if self._project:
            lines.append(f"hooktide-project: {self._project}")
        if body:
            lines += [f"content-type: {kind}", f"content-length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._within):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._tls
                )
                try:
                    writer.write(request)
                    answer = await reader.read(-1)
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            reason = str(error) or "it did not answer in time"
            raise ApiError(
                0, "unreachable", f"cannot reach {self.server} ({reason}); is the server running?"
            ) from error
        return _parse(answer)


def api_of(server: DemoServer) -> Api:
    """Return a client of a server's API, with the operator's key."""
    return Api(server.url, server.key)


def _parse(answer: bytes) -> tuple[int, bytes]:
    head, found, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if not found or len(words) < 2 or not words[1].isdigit():
        raise ApiError(0, "not_http", "what answered is no Hooktide server; check the URL")
    return int(words[1]), body


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return None


def _with_places(detail: str, problem: dict[str, Any]) -> str:
    places = [
        f"{fault.get('pointer', '')}: {fault['detail']}"
        for fault in problem.get("errors", ())
        if fault.get("pointer") and fault.get("detail")
    ]
    return "\n".join([detail, *places]) if places else detail
