"""A bin's page: what came in on the left, one request on the right, and it updates live.

Rendered on the server and whole without JavaScript (it then reloads itself every few seconds); with
it, a stream of server-sent events says when there is something new. Text from outside is escaped,
and characters that would hide or turn it around are written out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hooktide.actions.bins.bins import Bins, read_script
from hooktide.domain.delivery.body_text import body_text
from hooktide.domain.ids import show
from hooktide.domain.model import Bin, BinRequest, SignatureVerdict
from hooktide.domain.time.times import show_time
from hooktide.runtime.background import start
from hooktide.web.bins.bin_responses import raw_headers, request_id
from hooktide.web.pages.bins import script as bin_script
from hooktide.web.pages.bins.session import session_of
from hooktide.web.pages.framework.formats import minute
from hooktide.web.pages.framework.forms import sentence
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Events, File, View
from hooktide.web.pages.framework.visible_text import indented, visible
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.wire.bins import MAX_NOTE_LENGTH

SHOWN_REQUESTS = 200
SHOWN_PARAMETERS = 100
HEARTBEAT = 15.0


@page("")
async def bin_page(request: PageRequest) -> View:
    """``GET /bins/{page_token}``; ``?request=req_...`` opens that one, else the newest."""
    session = session_of(request)
    found, bins = session.bin, session.bins
    kept = (await bins.requests(found, None, SHOWN_REQUESTS)).items
    script = read_script(found.script)
    wanted = request.query.text("request") or request.params.get("id", "")
    chosen = await bins.request(found, request_id(wanted)) if wanted else next(iter(kept), None)
    note_fault = request.fault("note")
    wrong = None if note_fault else request.wrong
    return request.show(
        "page.html",
        url=f"{request.services.public_url}/bin/{found.token}",
        expires=minute(found.expires_at),
        rows=[_row(item) for item in kept],
        opened=None if chosen is None else _opened(chosen),
        reloads=not wanted and request.wrong is None and request.query.text("reload") != "off",
        note_fault=note_fault,
        longest_note=MAX_NOTE_LENGTH,
        answers=bin_script.said(script),
        script=bin_script.rows_of(script)
        if wrong is None
        else [*bin_script.typed_rows(request.form), bin_script.Row()],
        fault="" if wrong is None else sentence(wrong.detail),
    )


@page("/requests/{id}/raw")
async def raw(request: PageRequest) -> View:
    """``GET /bins/{page_token}/requests/{id}/raw``: the body as a file."""
    session = session_of(request)
    kept = await session.bins.request(session.bin, request_id(request.path()))
    return File(kept.body, "text/plain", headers=raw_headers(kept))


@act("/clear", back=bin_page)
async def clear(request: PageRequest) -> View:
    """``POST /bins/{page_token}/clear``: forget what came in, and show the empty page."""
    session = session_of(request)
    await session.bins.clear(request.actor, session.bin)
    return request.go("")


@act("/answers", back=bin_page, max_body=MAX_LARGE_BODY)
async def answers(request: PageRequest) -> View:
    """``POST /bins/{page_token}/answers``: answer like this, from the first one on."""
    session = session_of(request)
    change = bin_script.read_rows(bin_script.typed_rows(request.form))
    await session.bins.script(request.actor, session.bin, change)
    return request.go("")


@act("/requests/{id}/note", back=bin_page, leads_to="")
async def note(request: PageRequest) -> View:
    """``POST /bins/{page_token}/requests/{id}/note``: replace the note on a request."""
    session, id_ = session_of(request), request.path()
    await session.bins.note(request.actor, session.bin, request_id(id_), request.form.text("note"))
    return request.go("", request=id_)


@page("/events")
async def events(request: PageRequest) -> View:
    """``GET /bins/{page_token}/events``: one server-sent event for each request."""
    session = session_of(request)
    return Events(_events(session.bins, session.bin, session.stopping))


async def _events(bins: Bins, found: Bin, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Stream what is new until the server stops, which no open stream may delay."""
    with bins.watch(found) as news:
        if news is None:
            yield b"retry: 60000\n\n"
            return
        yield b"retry: 2000\n\n"
        stop: asyncio.Task[Any] = start(stopping.wait(), "wait for the stop")
        try:
            while not stop.done():
                yield await _next_event(news, stop)
        finally:
            stop.cancel()


async def _next_event(news: asyncio.Queue[int], stop: asyncio.Task[Any]) -> bytes:
    new: asyncio.Task[Any] = start(news.get(), "wait for a request to the bin")
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
    note: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The request on the right; ``pretty`` is None for a body that is not JSON.

    ``whole`` is the request as it was sent, without what was not kept of its body.
    """

    row: Row
    path: str
    address: str
    note: str
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    pretty: str | None
    raw: str
    whole: str
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
        note=kept.note,
    )


def _opened(kept: BinRequest) -> Opened:
    path = visible(kept.path)
    headers = [(name, visible(value)) for name, value in kept.headers]
    body = body_text(kept.body, truncated=kept.body_truncated, errors="backslashreplace")
    raw = visible(body)
    return Opened(
        row=_row(kept),
        path=path,
        address=kept.address,
        note=kept.note,
        query=_query(kept.path),
        headers=headers,
        pretty=indented(kept.body),
        raw=raw,
        whole="\n".join(
            [f"{kept.method} {path} HTTP/1.1", *(": ".join(each) for each in headers), "", raw]
        ),
        truncated=kept.body_truncated,
    )


def _query(path: str) -> list[tuple[str, str]]:
    """Return the first parameters of a path's query, unescaped."""
    pairs = parse_qsl(path.partition("?")[2], keep_blank_values=True, errors="backslashreplace")
    return [(visible(name), visible(value)) for name, value in pairs[:SHOWN_PARAMETERS]]


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


PAGES = (bin_page, raw, clear, answers, note, events)
