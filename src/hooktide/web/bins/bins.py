"""The URL of a request bin, which receives; ``web.api.bins`` and ``web.pages.bins`` show it.

What was sent is only ever given back as text: an answer of a bin is ``text/plain`` with
``nosniff``, a kept body is an attachment in a sandbox, and the page escapes all of it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec import UNSET
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from hooktide.actions.bins.bin_check import Arrival, BinCheck
from hooktide.actions.bins.bins import MAX_KEPT_BODY, Bins
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Bin, BinRequest, Micros
from hooktide.web.bins.bin_responses import PLAIN, not_found
from hooktide.web.http.body_memory import CountedBody
from hooktide.web.http.client_address import address_of
from hooktide.wire.bins import Step

MAX_READ_BODY = 1024 * 1024
READ_TIMEOUT = 30.0
MAX_CONCURRENT_READS = 64
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024


def bin_routes(
    bins: Bins, check: BinCheck, clock: Callable[[], Micros], stopping: asyncio.Event
) -> list[Route]:
    """Return the routes of the URLs that receive; delays end when ``stopping`` is set."""
    receiver = Receiver(bins, check, clock, stopping)
    return [Route("/bin/{token}", receiver), Route("/bin/{token}/{status:int}", receiver)]


class Receiver:
    """``/bin/{token}`` with any method: keep the request, give the answer whose turn it is.

    An ASGI application, so that its route takes every method.
    """

    def __init__(
        self, bins: Bins, check: BinCheck, clock: Callable[[], Micros], stopping: asyncio.Event
    ) -> None:
        self._bins = bins
        self._check = check
        self._clock = clock
        self._stopping = stopping
        self._reading = 0

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request, receive)
        except NotFoundError:
            response = not_found()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request, receive: Receive) -> Response:
        found = await self._bins.open(request.path_params["token"])
        forced = _forced(request)
        with self._bins.room(found) as room:
            if not room:
                return Response("too many requests\n", 429, PLAIN | {"retry-after": "1"})
            with self._most() as most:
                step = await self._keep(request, found, forced, most)
            if isinstance(receive, CountedBody):
                receive.release()  # the body is not kept while the answer waits
            await self._wait(step.delay_ms / 1000)
        return _step_response(step)

    async def _keep(self, request: Request, found: Bin, forced: Step | None, most: int) -> Step:
        """Read, check and store a request; its whole body is released before the answer's delay."""
        body = await read_beginning(request, most)
        path, headers, now = _path(request), request.headers.items(), self._clock()
        whole = body.read if body.whole else None
        finding = await self._check.find(Arrival(path, headers, whole, now))
        step = forced or await self._bins.next_answer(found)
        kept = BinRequest(
            id=0,
            bin_id=found.id,
            method=request.method,
            path=path,
            headers=kept_headers(headers),
            body=body.read[:MAX_KEPT_BODY],
            body_size=body.size,
            answered=step.status,
            received_at=now,
            verdict=finding.verdict,
            reason=finding.reason,
            address=address_of(request),
        )
        await self._bins.keep(kept, found.token)
        return step

    @contextmanager
    def _most(self) -> Iterator[int]:
        """Yield how much of a body may be read: with many concurrent requests, only what is stored.

        Otherwise anyone who knows a bin's URL could fill the memory.
        """
        self._reading += 1
        try:
            yield MAX_READ_BODY if self._reading <= MAX_CONCURRENT_READS else MAX_KEPT_BODY
        finally:
            self._reading -= 1

    async def _wait(self, seconds: float) -> None:
        if seconds:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pass


def _forced(request: Request) -> Step | None:
    status = request.path_params.get("status")
    if status is None:
        return None
    if not 200 <= status <= 599:
        raise NotFoundError("bin")
    return Step(status=status, body=f"{status}\n")


@dataclass(frozen=True, slots=True)
class Body:
    """A body as far as it was read; ``size`` counts on to 1 MB."""

    read: bytes
    size: int
    whole: bool


async def read_beginning(request: Request, most: int) -> Body:
    """Read the first ``most`` bytes of a body, and count the rest."""
    read, size, ended = bytearray(), 0, False
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            async for chunk in request.stream():
                read += chunk[: most - len(read)]
                size += len(chunk)
                if size > MAX_READ_BODY:
                    break
            else:
                ended = True
    except TimeoutError:
        pass
    return Body(bytes(read), min(size, MAX_READ_BODY), ended and size == len(read))


def _path(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def kept_headers(given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers that are kept: the first 100, and no more than 16 KB of them."""
    kept, size = [], 0
    for name, value in given[:MAX_HEADERS]:
        size += len(name) + len(value)
        if size > MAX_HEADER_BYTES:
            break
        kept.append((name, value))
    return tuple(kept)


def _step_response(step: Step) -> Response:
    body = "" if step.status in {204, 205, 304} else step.body
    more = step.headers.retry_after
    headers = PLAIN if more is UNSET else PLAIN | {"retry-after": more}
    return Response(body, step.status, headers)
