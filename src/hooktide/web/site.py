"""The whole site as one ASGI application: the hot path first, then everything that is routed.

``build_site`` is what the composition root calls, and ``build_health_site`` for a process that only
delivers. Each area of ``web.api`` lists its operations in ``OPERATIONS``; routes from elsewhere
bring their documents as ``documented`` on their handlers.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooktide.actions.bins.bin_check import BinCheck
from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.web.api import (
    accounts,
    audit_log,
    bins,
    deliveries,
    endpoints,
    event_types,
    events,
    keys,
    portal_links,
    projects,
    replays,
    statistics,
    storage_usage,
    users,
    webhooks,
)
from hooktide.web.bins.bins import bin_routes
from hooktide.web.health import LIVE, Readiness
from hooktide.web.http.body_memory import (
    SMALL_BODY,
    BodyMemory,
    CountedBody,
    declared_length,
    has_body,
)
from hooktide.web.http.client_address import Network
from hooktide.web.operations.deps import Deps, make_services
from hooktide.web.operations.openapi import make_openapi
from hooktide.web.operations.operation import JSON, Operation
from hooktide.web.pages.bins.routes import bin_page_routes
from hooktide.web.pages.dashboard.routes import dashboard_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.rendering import static_routes
from hooktide.web.pages.guide.routes import docs_routes
from hooktide.web.pages.home import home_routes, missing_page
from hooktide.web.pages.portal.routes import portal_routes
from hooktide.web.problems.problems import (
    explain_route,
    problem_bytes,
    problem_response,
    send_whole,
)

__all__ = ["Deps", "build_health_site", "build_site"]

log = logging.getLogger("hooktide.web")

OPERATIONS: tuple[Operation, ...] = (
    *projects.OPERATIONS,
    *storage_usage.OPERATIONS,
    *accounts.OPERATIONS,
    *portal_links.OPERATIONS,
    *event_types.OPERATIONS,
    *endpoints.OPERATIONS,
    *replays.OPERATIONS,
    *events.OPERATIONS,
    *deliveries.OPERATIONS,
    *statistics.OPERATIONS,
    *keys.OPERATIONS,
    *users.OPERATIONS,
    *audit_log.OPERATIONS,
    *webhooks.OPERATIONS,
    *bins.OPERATIONS,
)


def build_site(deps: Deps) -> ASGIApp:
    """Build the application that answers everything."""
    return Site(_routes(deps), deps.publish_application, deps.body_memory, deps.trusted_proxies)


def build_health_site(
    ready: Callable[[], Awaitable[Readiness]], metrics_page: Callable[[], Awaitable[bytes]]
) -> ASGIApp:
    """Build the application that answers only for the process's own health."""
    return Site(_health_routes(ready, metrics_page), None, BodyMemory(SMALL_BODY))


class Site:
    """Answers every request; what goes wrong, known or not, is a problem (RFC 9457).

    ``publish`` answers ``POST /v1/events``, and counts its bodies itself; None: that is a path like
    any other. ``memory`` bounds what bodies take. ``trusted_proxies`` are believed in what
    ``address_of`` reads.
    """

    def __init__(
        self,
        routes: list[Route],
        publish: ASGIApp | None,
        memory: BodyMemory,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.trusted_proxies = trusted_proxies
        self._publish = publish
        self._memory = memory
        self._routes = routes
        router = Router(self._routes, redirect_slashes=False)
        handlers = {HTTPException: self._unrouted, HooktideError: problem_response}
        self._routed = ExceptionMiddleware(router, handlers=handlers)

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
        await self._routed(scope, receive, answer)

    async def _unrouted(self, request: Request, error: Exception) -> Response:
        """Answer what has no route; Starlette's Allow knows only the path's first route."""
        if getattr(error, "status_code", 0) == 404 and (page := missing_page(request)):
            return page
        response = await problem_response(request, error)
        if response.status_code == 405:
            response.headers["allow"] = ", ".join(sorted(self._allowed(request.scope)))
        return response

    def _allowed(self, scope: Scope) -> set[str]:
        matching = [each for each in self._routes if each.matches(scope)[0] is not Match.NONE]
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


def _routes(deps: Deps) -> list[Route]:
    services = make_services(deps)
    live = Live(deps.stopping)
    return [
        *[each.route(services, deps.auth) for each in OPERATIONS],
        *bin_routes(
            services.bins,
            BinCheck(deps.store, deps.directory, deps.public_url),
            deps.clock,
            deps.stopping,
        ),
        *bin_page_routes(services, live, deps.stopping),
        *dashboard_routes(services, live),
        *portal_routes(services, live),
        *home_routes(),
        *docs_routes(services, deps.url_policy, live),
        *static_routes(),
        explain_route,
        *_health_routes(deps.ready, deps.metrics_page),
        _openapi_route(deps.public_url),
    ]


def _openapi_route(public_url: str) -> Route:
    async def document(_: Request) -> Response:
        text = await asyncio.to_thread(_openapi_text, public_url)
        return Response(text, media_type=JSON)

    return Route("/openapi.json", document)


@functools.cache
def _openapi_text(public_url: str) -> bytes:
    """Return the OpenAPI document. Making it takes long, so it is made at the first request."""
    documents = [*(each.document for each in OPERATIONS), events.PUBLISH]
    return msgspec.json.encode(make_openapi(documents, public_url))


def _health_routes(
    is_ready: Callable[[], Awaitable[Readiness]], metrics_page: Callable[[], Awaitable[bytes]]
) -> list[Route]:
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
