"""``/v1/bins`` for any key: create a bin, script its responses, read its requests.

A bin belongs to the scope of the key that made it.
"""

from typing import Annotated

import msgspec
from starlette.responses import Response

from hooktide.domain.delivery.body_text import text_or_base64
from hooktide.domain.ids import show
from hooktide.domain.model import Bin, BinRequest
from hooktide.web.bins.bin_responses import raw_response
from hooktide.web.bins.bin_responses import request_id as read_id
from hooktide.web.operations.operation import ANYONE, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.web.urls import bin_page_url
from hooktide.wire import bins as wire
from hooktide.wire.fields import Listed, PeriodQuery


@operation(
    "POST",
    "/v1/bins",
    who=ANYONE,
    status=201,
    problems=("too_many_bins",),
    max_body=MAX_LARGE_BODY,
)
async def create_bin(call: Call, body: wire.NewBin) -> wire.Bin:
    """Create a request bin.

    Its URL records every request and gives the script's responses in turn. The last one repeats;
    without a script it answers 200.
    """
    return _shown(call, await call.services.bins.create(call.actor, call.scope, body))


@operation("GET", "/v1/bins/{id}", who=ANYONE)
async def get_bin(call: Call, id: str) -> wire.Bin:
    """Get a bin."""
    return _shown(call, await call.services.bins.find(call.scope, id))


@operation("PATCH", "/v1/bins/{id}", who=ANYONE, max_body=MAX_LARGE_BODY)
async def update_bin(call: Call, id: str, body: wire.BinUpdate) -> wire.Bin:
    """Replace a bin's script, starting with its first response."""
    return _shown(call, await call.services.bins.change_script(call.actor, call.scope, id, body))


@operation("DELETE", "/v1/bins/{id}", who=ANYONE, status=204)
async def delete_bin(call: Call, id: str) -> None:
    """Delete a bin and its requests."""
    bins = call.services.bins
    await bins.delete(call.actor, await bins.find(call.scope, id))


@operation("GET", "/v1/bins/{id}/requests", who=ANYONE)
async def list_bin_requests(call: Call, id: str, query: PeriodQuery) -> Listed[wire.BinRequest]:
    """List a bin's requests, newest first, each with its signature's verdict."""
    bins = call.services.bins
    after, before = call.bounds(query)
    page = await bins.requests(await bins.find(call.scope, id), before, query.limit, after=after)
    return call.listed(page, [_request_shown(each) for each in page.items])


@operation("DELETE", "/v1/bins/{id}/requests", who=ANYONE, status=204)
async def clear_bin(call: Call, id: str) -> None:
    """Delete a bin's requests."""
    bins = call.services.bins
    await bins.clear(call.actor, await bins.find(call.scope, id))


@operation("GET", "/v1/bins/{id}/requests/{request_id}", who=ANYONE)
async def get_bin_request(call: Call, id: str, request_id: str) -> wire.BinRequest:
    """Get one of a bin's requests."""
    return _request_shown(await _kept(call, id, request_id))


@operation("PATCH", "/v1/bins/{id}/requests/{request_id}", who=ANYONE)
async def update_bin_request(
    call: Call, id: str, request_id: str, body: wire.BinRequestUpdate
) -> wire.BinRequest:
    """Replace the note on one of a bin's requests."""
    bins = call.services.bins
    found = await bins.find(call.scope, id)
    return _request_shown(await bins.note(call.actor, found, read_id(request_id), body.note))


@operation(
    "GET",
    "/v1/bins/{id}/requests/{request_id}/raw",
    who=ANYONE,
    answer=Annotated[str, msgspec.Meta(description="The body's raw bytes.")],
    answer_kind="text/plain; charset=utf-8",
)
async def get_bin_request_body(call: Call, id: str, request_id: str) -> Response:
    """Get a request's body as a file, up to its first 64 KB."""
    return raw_response(await _kept(call, id, request_id))


async def _kept(call: Call, id: str, request: str) -> BinRequest:
    bins = call.services.bins
    return await bins.request(await bins.find(call.scope, id), read_id(request))


def _shown(call: Call, found: Bin) -> wire.Bin:
    return wire.Bin(
        id=f"bin_{found.token}",
        url=f"{call.services.public_url}/bin/{found.token}",
        page_url=bin_page_url(call.services.public_url, found),
        script=msgspec.json.decode(found.script or "[]", type=list[wire.ScriptStep]),
        created_at=instant(found.created_at),
        expires_at=instant(found.expires_at),
    )


def _request_shown(kept: BinRequest) -> wire.BinRequest:
    text, encoding = text_or_base64(kept.body, truncated=kept.body_truncated)
    return wire.BinRequest(
        id=show("req", kept.id),
        method=kept.method,
        path=kept.path,
        headers=list(kept.headers),
        body=text if encoding == "utf-8" else None,
        body_base64=text if encoding == "base64" else None,
        body_size=kept.body_size,
        body_truncated=kept.body_truncated,
        answered=kept.answered,
        received_at=instant(kept.received_at),
        address=kept.address,
        note=kept.note,
        signature=wire.Signature(kept.verdict, kept.reason),
    )


OPERATIONS = (
    create_bin,
    get_bin,
    update_bin,
    delete_bin,
    list_bin_requests,
    clear_bin,
    get_bin_request,
    update_bin_request,
    get_bin_request_body,
)
