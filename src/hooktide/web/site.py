"""The whole site as one ASGI application: the hot path first, then everything that is routed.

What is routed (``web.routes``) is loaded by the first request that needs it. ``build_health_site``
is for a process that only delivers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.web.health import JSON, LIVE, Readiness
from hooktide.web.http.body_memory import (
    SMALL_BODY,
    BodyMemory,
    CountedBody,
    declared_length,
    has_body,
)
from hooktide.web.http.client_address import Network
from hooktide.web.problems.problems import problem_bytes, problem_response, send_whole

log = logging.getLogger("hooktide.web")


class Routes(NamedTuple):
    """What is routed, and the page for a browser that asks for something else (None: a problem)."""

    routes: Sequence[Route]
    missing_page: Callable[[Request], Response | None] = lambda _: None


def build_health_site(
    ready: Callable[[], Awaitable[Readiness]], metrics_page: Callable[[], Awaitable[bytes]]
) -> ASGIApp:
    """Build the application that answers only for the process's own health."""
    return Site(at_hand(Routes(health_routes(ready, metrics_page))), None, BodyMemory(SMALL_BODY))


def at_hand(routes: Routes) -> Callable[[], Awaitable[Routes]]:
    """Return a ``load`` that has nothing to load."""

    async def load() -> Routes:
        return routes

    return load


class Site:
    """Answers every request; what goes wrong, known or not, is a problem (RFC 9457).

    ``load`` returns what is routed. ``publish`` answers ``POST /v1/events``, and counts its bodies
    itself; None: that is a path like any other. ``memory`` bounds what bodies take.
    ``trusted_proxies`` are believed in what ``address_of`` reads.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Routes]],
        publish: ASGIApp | None,
        memory: BodyMemory,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.trusted_proxies = trusted_proxies
        self._publish = publish
        self._memory = memory
        self._load = load
        self._loading = asyncio.Lock()
        self._routes: Routes | None = None
        self._routed: ASGIApp | None = None

    async def routes(self) -> Routes:
        """Return what is routed, and load it if this is the first call."""
        async with self._loading:
            if self._routes is None:
                self._routes = await self._load()
            return self._routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = TrackedSend(send)
        try:
            publish = self._publish
            if scope["path"] == "/v1/events" and scope.get("method") == "POST" and publish:
                await publish(scope, receive, answer)
            elif has_body(scope):
                body = CountedBody(self._memory, receive, declared_length(scope))
                try:
                    await self._route(scope, body, answer)
                finally:
                    body.release()
            else:
                await self._route(scope, receive, answer)
        except ClientDisconnect:
            return
        except MemoryError:
            await answer.refuse(UnavailableError("the server has no memory left for this request"))
        except Exception as error:  # noqa: BLE001  # the last resort: no stack trace may reach a client
            await answer.fail(error)

    async def _route(self, scope: Scope, receive: Receive, answer: "TrackedSend") -> None:
        # Starlette raises what it cannot route only inside an application of its kind.
        scope["app"] = self
        if self._routed is None:
            self._routed = self._routing(await self.routes())
        await self._routed(scope, receive, answer)

    def _routing(self, found: Routes) -> ASGIApp:
        router = Router(found.routes, redirect_slashes=False)

        async def unrouted(request: Request, error: Exception) -> Response:
            return await _unrouted(found, request, error)

        handlers = {HTTPException: unrouted, HooktideError: problem_response}
        return ExceptionMiddleware(router, handlers=handlers)


async def _unrouted(found: Routes, request: Request, error: Exception) -> Response:
    """Answer what has no route; Starlette's Allow knows only the path's first route."""
    if getattr(error, "status_code", 0) == 404 and (page := found.missing_page(request)):
        return page
    response = await problem_response(request, error)
    if response.status_code == 405:
        response.headers["allow"] = ", ".join(sorted(_allowed(found, request.scope)))
    return response


def _allowed(found: Routes, scope: Scope) -> set[str]:
    matching = [each for each in found.routes if each.matches(scope)[0] is not Match.NONE]
    own = {"POST"} if scope["path"] == "/v1/events" else set()
    return own.union(*[each.methods or () for each in matching])


class TrackedSend:
    """``send``, knowing whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        self._begun = True
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Log a bug of ours, and answer 500 if there is still time to."""
        instance = await self.refuse(error)
        log.error("unexpected error, instance %s", instance, exc_info=error)

    async def refuse(self, error: Exception) -> str:
        """Answer with a problem if there is still time to; return its instance."""
        status, body, headers = problem_bytes(error)
        instance: str = msgspec.json.decode(body)["instance"]
        if not self._begun:
            await send_whole(self._send, status, body, headers)
        return instance


def health_routes(
    is_ready: Callable[[], Awaitable[Readiness]], metrics_page: Callable[[], Awaitable[bytes]]
) -> list[Route]:
    """Return the routes of the probes and of the metrics."""

    async def live(_: Request) -> Response:
        return Response(LIVE, media_type=JSON)

    async def ready(_: Request) -> Response:
        found = await is_ready()
        return Response(found.body(), 503 if found.reasons else 200, media_type=JSON)

    async def metrics(_: Request) -> Response:
        page = await metrics_page()
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", metrics),
    ]
