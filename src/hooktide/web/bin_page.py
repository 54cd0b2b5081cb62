"""A bin's page: what came in on the left, one request on the right, and it updates live.

Rendered on the server and whole without JavaScript (it then reloads itself every few seconds); with
it, a stream of server-sent events says when there is something new. Text from outside is escaped,
and characters that would hide or turn it around are written out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from hooktide.actions.bins import Bins, read_script
from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Bin, BinRequest, SignatureVerdict
from hooktide.domain.times import show_time
from hooktide.web import bin_script
from hooktide.web.bin_answers import not_found, raw_response, request_id
from hooktide.web.forms import read_form, sentence
from hooktide.web.look import POLICY, indented, templates, visible

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

SHOWN_REQUESTS = 200
HEARTBEAT = 15.0

PAGE_HEADERS = {**POLICY, "x-robots-tag": "noindex", "cache-control": "no-store"}


class BinPage:
    """The page of a bin and what it is made of; knowing the token is all it takes."""

    def __init__(self, bins: Bins, public_url: str, stopping: asyncio.Event) -> None:
        self._bins = bins
        self._public_url = public_url
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [
            Route("/bin/{token}/page", _or_not_found(self.page)),
            Route("/bin/{token}/events", _or_not_found(self.events)),
            Route("/bin/{token}/requests/{id}/raw", _or_not_found(self.raw)),
            Route("/bin/{token}/clear", _or_not_found(self.clear), methods=["POST"]),
            Route("/bin/{token}/answers", _or_not_found(self.answers), methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """``GET /bin/{token}/page``; ``?request=req_...`` opens that one, else the newest."""
        found = await self._bins.open(request.path_params["token"])
        return await self._page(found, request.query_params.get("request"))

    async def _page(
        self,
        found: Bin,
        wanted: str | None = None,
        typed: Sequence[bin_script.Row] | None = None,
        fault: str = "",
    ) -> Response:
        """Show the page; ``typed`` and ``fault``: answers that cannot be given, and why."""
        kept = (await self._bins.requests(found, None, SHOWN_REQUESTS)).items
        script = read_script(found)
        chosen = await self._chosen(found, kept, wanted)
        html = templates.get_template("bin.html").render(
            url=f"{self._public_url}/bin/{found.token}",
            base=f"/bin/{found.token}",
            expires=show_time(found.expires_at)[:16].replace("T", " "),
            rows=[_row(item) for item in kept],
            opened=None if chosen is None else _opened(chosen),
            following=wanted is None and not fault,
            answers=bin_script.said(script),
            script=bin_script.rows_of(script) if typed is None else [*typed, bin_script.Row()],
            fault=fault,
        )
        status = 422 if fault else 200
        return Response(html, status, headers=PAGE_HEADERS, media_type="text/html")

    async def _chosen(
        self, found: Bin, kept: Sequence[BinRequest], wanted: str | None
    ) -> BinRequest | None:
        if wanted is None:
            return kept[0] if kept else None
        return await self._bins.request(found, request_id(wanted))

    async def raw(self, request: Request) -> Response:
        """``GET /bin/{token}/requests/{id}/raw``: the body as a file."""
        found = await self._bins.open(request.path_params["token"])
        return raw_response(await self._bins.request(found, request_id(request.path_params["id"])))

    async def clear(self, request: Request) -> Response:
        """``POST /bin/{token}/clear``: forget what came in, and show the empty page."""
        found = await self._bins.open(request.path_params["token"])
        await self._bins.clear(found)
        return RedirectResponse(f"/bin/{found.token}/page", 303)

    async def answers(self, request: Request) -> Response:
        """``POST /bin/{token}/answers``: answer like this from now on, from the first one on."""
        found = await self._bins.open(request.path_params["token"])
        typed: list[bin_script.Row] = []
        try:
            typed = bin_script.typed_rows(await read_form(request))
            await self._bins.script(found, bin_script.read_rows(typed))
        except InvalidError as error:
            return await self._page(found, typed=typed, fault=sentence(error.detail))
        return RedirectResponse(f"/bin/{found.token}/page", 303)

    async def events(self, request: Request) -> Response:
        """``GET /bin/{token}/events``: one server-sent event for each request that comes in."""
        found = await self._bins.open(request.path_params["token"])
        return StreamingResponse(
            self._stream(found),
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
            media_type="text/event-stream",
        )

    async def _stream(self, found: Bin) -> AsyncIterator[bytes]:
        """Say what is new until the server stops, which no open stream may hold up."""
        with self._bins.watch(found) as news:
            if news is None:
                yield b"retry: 60000\n\n"
                return
            yield b"retry: 2000\n\n"
            stop: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
            try:
                while not stop.done():
                    yield await _next_event(news, stop)
            finally:
                stop.cancel()


async def _next_event(news: asyncio.Queue[int], stop: asyncio.Task[Any]) -> bytes:
    new: asyncio.Task[Any] = asyncio.create_task(news.get())
    try:
        await asyncio.wait({new, stop}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
        return b"event: new\ndata: %d\n\n" % new.result() if new.done() else b": still here\n\n"
    finally:
        new.cancel()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list."""

    id: str
    title: str
    method: str
    at: str
    size: str
    answered: int
    verdict: SignatureVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The request on the right; ``pretty`` is None for a body that is no JSON."""

    row: Row
    path: str
    headers: Sequence[tuple[str, str]]
    pretty: str | None
    raw: str
    truncated: bool


def _row(kept: BinRequest) -> Row:
    return Row(
        id=show("req", kept.id),
        title=visible(_type_of(kept.body) or kept.path.partition("/bin/")[2][25:] or "request"),
        method=kept.method,
        at=show_time(kept.received_at),
        size=_size(kept.body_size),
        answered=kept.answered,
        verdict=kept.verdict,
        reason=kept.reason,
    )


def _opened(kept: BinRequest) -> Opened:
    return Opened(
        row=_row(kept),
        path=visible(kept.path),
        headers=[(name, visible(value)) for name, value in kept.headers],
        pretty=indented(kept.body),
        raw=visible(kept.body.decode("utf-8", "backslashreplace")),
        truncated=kept.body_size > len(kept.body),
    )


class _Typed(msgspec.Struct):
    """Where webhooks say what they are."""

    type: str = ""
    event_type: str = ""


def _type_of(body: bytes) -> str:
    try:
        typed = msgspec.json.decode(body, type=_Typed)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    return (typed.type or typed.event_type)[:80]


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KB"


def _or_not_found(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except NotFoundError:
            return not_found()

    return answer
