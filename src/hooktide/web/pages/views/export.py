"""The log of deliveries as a file: the same filters, a row or an object for each delivery.

It is streamed as it is found, so its length takes no memory.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from hooktide.actions.deliveries.delivery_log import Line
from hooktide.domain.csv_row import csv_row
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import made_at, show
from hooktide.domain.model import Account, Endpoint, Micros
from hooktide.domain.phrase import phrase
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Download, View
from hooktide.web.pages.views.deliveries import asked_for

PAGE_SIZE = 100
FIELDS = (
    "id",
    "created_at",
    "account",
    "account_reference",
    "endpoint",
    "endpoint_url",
    "event",
    "event_type",
    "origin",
    "state",
    "reason",
    "attempts",
    "last_status",
    "last_error",
    "last_duration_ms",
    "next_attempt_at",
    "ended_at",
)

Row: TypeAlias = Mapping[str, Any]


@page("/deliveries/export")
async def export(request: PageRequest) -> View:
    """Return the deliveries that are filtered for; ``?as=csv`` or ``jsonl``."""
    kind = request.query.text("as") or "csv"
    if kind not in _FORMATS:
        raise InvalidError("invalid_choice", phrase("choose csv or jsonl"), pointer="/as")
    media_type, begin, write = _FORMATS[kind]
    asked = await asked_for(request)
    asked.check(request)

    async def parts() -> AsyncIterator[bytes]:
        yield begin()
        before: int | None = None
        while await request.session.is_open():
            found = await request.services.delivery_log.search(
                asked.scope, asked.given.wanted, before, PAGE_SIZE
            )
            rows = await _rows(request, found.lines)
            if rows:
                yield b"".join(map(write, rows))
            if found.next_before is None:
                return
            before = found.next_before

    return Download(parts(), media_type, f"deliveries.{kind}")


async def _rows(request: PageRequest, lines: Sequence[Line]) -> list[Row]:
    accounts = await request.accounts(each.delivery.account_id for each in lines)
    endpoints = await request.endpoints(each.delivery.endpoint_id for each in lines)
    return [
        _row(each, accounts.get(each.delivery.account_id), endpoints.get(each.delivery.endpoint_id))
        for each in lines
    ]


def _row(line: Line, account: Account | None, endpoint: Endpoint | None) -> Row:
    delivery, attempt = line.delivery, line.attempt
    values = (
        show("dlv", delivery.id),
        show_time(made_at(delivery.id)),
        show("acc", delivery.account_id),
        account.reference if account else "",
        show("ep", delivery.endpoint_id),
        endpoint.url if endpoint else "",
        show("evt", delivery.event_id),
        delivery.event_type,
        delivery.origin.value,
        delivery.state.value,
        delivery.reason,
        delivery.attempts,
        attempt.status if attempt else None,
        attempt.error if attempt else "",
        attempt.duration / 1000 if attempt else None,
        None if delivery.sending else _time(delivery.due_at),
        _time(delivery.ended_at),
    )
    return dict(zip(FIELDS, values, strict=True))


def _time(at: Micros | None) -> str | None:
    return None if at is None else show_time(at)


_FORMATS: Mapping[str, tuple[str, Callable[[], bytes], Callable[[Row], bytes]]] = {
    "csv": (
        "text/csv; charset=utf-8",
        lambda: csv_row(FIELDS).encode(),
        lambda row: csv_row(row.values()).encode(),
    ),
    "jsonl": (
        "application/x-ndjson",
        lambda: b"",
        lambda row: msgspec.json.encode(row) + b"\n",
    ),
}

PAGES = (export,)
