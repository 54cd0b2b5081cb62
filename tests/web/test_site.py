"""What the site imports, and when."""

import asyncio
import subprocess
import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.web.http.body_memory import BodyMemory
from hooktide.web.site import Routes, Site

LOADED = "import sys, hooktide.cli.commands.serve; print(*sys.modules)"


def test_a_server_begins_without_importing_pages_and_operations() -> None:
    """They are most of what it imports, and no event needs them."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    later = ("hooktide.web.pages", "hooktide.web.api", "hooktide.web.operations", "jinja2")
    assert [name for name in loaded if name.startswith(later)] == []
    assert "hooktide.web.publishing.events" in loaded


async def test_requests_that_come_before_the_routes_load_them_once() -> None:
    loaded, go_on = [], asyncio.Event()

    async def hello(_: Request) -> Response:
        return Response("hello")

    async def load() -> Routes:
        loaded.append(1)
        await go_on.wait()
        return Routes([Route("/hello", hello)])

    site = Site(load, None, BodyMemory(1 << 20))
    asking = [asyncio.ensure_future(status_of(site, path)) for path in ("/hello", "/hello", "/no")]
    while not loaded:
        await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*asking) == [200, 200, 404]
    assert await status_of(site, "/hello") == 200
    assert loaded == [1]


async def test_a_load_that_failed_is_tried_again_by_the_next_request() -> None:
    failures = [OSError("too many open files")]

    async def load() -> Routes:
        if failures:
            raise failures.pop()
        return Routes([])

    site = Site(load, None, BodyMemory(1 << 20))
    assert await status_of(site, "/") == 500
    assert await status_of(site, "/") == 404


async def status_of(site: Site, path: str) -> int:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    await site(scope, receive, send)
    return int(sent[0]["status"])
