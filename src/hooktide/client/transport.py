"""How requests are sent: ``Transport`` blocks, ``AsyncTransport`` is for asyncio.

This is the only difference between the two clients. An operation is written once, as a method that
returns its ``Request``. ``operation`` turns it into a method that sends the request, and
``listing`` into one that yields a list's items, with either transport:

    class Accounts(Area[X]):
        @operation
        def get(self, account: str) -> Request[Account]:
            return call("GET", "/v1/accounts/{account}", Account, account=account)

``Accounts[Transport].get`` returns an ``Account``, and ``Accounts[AsyncTransport].get`` a coroutine
of one. Type checkers and editors see the method's parameters in both.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from copy import copy
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

import httpx

from hooktide.client.requests import Backoff, Request, Response, Steps
from hooktide.client.retries import Exchange, RetryPolicy
from hooktide.client.server import Server, within_project

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LOOPBACK: Mapping[str, None] = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
"""Requests to this machine bypass proxies from the environment."""

NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class _Transport:
    """What both transports share: the server and the retry policy."""

    def __init__(self, server: Server, retry_policy: RetryPolicy) -> None:
        self.server = server
        self._retry_policy = retry_policy

    def within(self, project: str) -> Self:
        """Return a transport restricted to a project, over the same connections."""
        narrowed = copy(self)
        narrowed.server = within_project(self.server, project)
        return narrowed

    def _exchange(self, request: Request[T]) -> Exchange[T]:
        return Exchange(self.server, self._retry_policy, request)

    def _arguments(self, request: Request[Any]) -> dict[str, Any]:
        """Return the arguments for httpx."""
        return {
            "method": request.method,
            "url": self.server.url + request.path,
            "headers": self.server.headers | request.headers,
            "content": request.body or None,
        }


class Transport(_Transport):
    """Sends requests, and retries them where that is safe."""

    def __init__(self, server: Server, timeout: float, retry_policy: RetryPolicy) -> None:
        super().__init__(server, retry_policy)
        self._http = httpx.Client(timeout=timeout, mounts=LOOPBACK)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, request: Request[T]) -> T:
        """Return a request's result.

        :raises ClientError: there was no response, or the server refused.
        """
        exchange, arguments = self._exchange(request), self._arguments(request)
        while True:
            try:
                exchange.answered(_response(self._http.request(**arguments)))
            except httpx.HTTPError as error:
                exchange.unanswered(error, sent=not isinstance(error, NOT_SENT))
            if exchange.wait is None:
                return exchange.answer()
            time.sleep(exchange.wait)

    def perform(self, describe: Callable[[], Request[T]]) -> T:
        """Carry out an operation."""
        return self.send(describe())

    def each(self, steps: Steps[T]) -> Iterator[T]:
        """Carry out steps, and yield their items."""
        step = next(steps, None)
        while step is not None:
            result: Any = None
            if isinstance(step, Request):
                result = self.send(step)
            elif isinstance(step, Backoff):
                result = (wait := self._retry_policy.wait(step.made)) is not None
                time.sleep(wait or 0)
            else:
                yield from step
            step = _next(steps, result)


class AsyncTransport(_Transport):
    """Sends requests, and retries them where that is safe; for asyncio."""

    def __init__(self, server: Server, timeout: float, retry_policy: RetryPolicy) -> None:
        super().__init__(server, retry_policy)
        self._http = httpx.AsyncClient(timeout=timeout, mounts=LOOPBACK)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, request: Request[T]) -> T:
        """Return a request's result.

        :raises ClientError: there was no response, or the server refused.
        """
        exchange, arguments = self._exchange(request), self._arguments(request)
        while True:
            try:
                exchange.answered(_response(await self._http.request(**arguments)))
            except httpx.HTTPError as error:
                exchange.unanswered(error, sent=not isinstance(error, NOT_SENT))
            if exchange.wait is None:
                return exchange.answer()
            await asyncio.sleep(exchange.wait)

    async def perform(self, describe: Callable[[], Request[T]]) -> T:
        """Carry out an operation."""
        return await self.send(describe())

    async def each(self, steps: Steps[T]) -> AsyncIterator[T]:
        """Carry out steps, and yield their items."""
        step = next(steps, None)
        while step is not None:
            result: Any = None
            if isinstance(step, Request):
                result = await self.send(step)
            elif isinstance(step, Backoff):
                result = (wait := self._retry_policy.wait(step.made)) is not None
                await asyncio.sleep(wait or 0)
            else:
                for each in step:
                    yield each
            step = _next(steps, result)


def _response(got: httpx.Response) -> Response:
    return Response(got.status_code, got.headers, got.content)


def _next(steps: Steps[T], result: Any) -> Any:
    try:
        return steps.send(result)
    except StopIteration:
        return None


X = TypeVar("X", bound=Transport | AsyncTransport)


class Area(Generic[X]):
    """An area of the API, called through a transport."""

    def __init__(self, transport: X) -> None:
        self._transport = transport


class Operation(Generic[P, T_co]):
    """An operation of the API, as type checkers see it."""

    @overload
    def __get__(self, area: Area[Transport], owner: Any = ...) -> Callable[P, T_co]: ...
    @overload
    def __get__(
        self, area: Area[AsyncTransport], owner: Any = ...
    ) -> Callable[P, Coroutine[Any, Any, T_co]]: ...
    def __get__(self, area: Any, owner: Any = None) -> Any:
        """Return the operation of an area."""
        raise NotImplementedError


class Listing(Generic[P, T_co]):
    """A list of the API, as type checkers see it."""

    @overload
    def __get__(self, area: Area[Transport], owner: Any = ...) -> Callable[P, Iterator[T_co]]: ...
    @overload
    def __get__(
        self, area: Area[AsyncTransport], owner: Any = ...
    ) -> Callable[P, AsyncIterator[T_co]]: ...
    def __get__(self, area: Any, owner: Any = None) -> Any:
        """Return the list of an area."""
        raise NotImplementedError


def operation(describe: Callable[Concatenate[Any, P], Request[T]]) -> Operation[P, T]:
    """Make a method send the request it describes, and return the result."""

    @functools.wraps(describe)
    def run(area: Area[Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        return area._transport.perform(lambda: describe(area, *args, **kwargs))

    # A function is a descriptor itself, so it binds its area like any method.
    return cast("Operation[P, T]", run)


def listing(describe: Callable[Concatenate[Any, P], Steps[T]]) -> Listing[P, T]:
    """Make a method carry out the steps that it describes, and yield their items."""

    @functools.wraps(describe)
    def run(area: Area[Any], *args: P.args, **kwargs: P.kwargs) -> Any:
        return area._transport.each(describe(area, *args, **kwargs))

    return cast("Listing[P, T]", run)
