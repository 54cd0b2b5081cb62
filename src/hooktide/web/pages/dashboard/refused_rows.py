"""Refused rows: events that applications wrote into this database and that were not accepted."""

import re

from hooktide.domain.errors import NotFoundError
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View

PAGE_SIZE = 50


@page("/refused-rows")
async def refused_rows(request: PageRequest) -> View:
    """``GET /dashboard/refused-rows``: newest first, each with its reason."""
    _check_everywhere(request, "page")
    before = _read_id(request.query.text("before"))
    listed = await request.services.store.list_refused_rows(before, PAGE_SIZE)
    return request.show("refused_rows.html", rows=listed.items, more=listed.next_before)


def _check_everywhere(request: PageRequest, kind: str) -> None:
    """A row names its project in the application's words: only those who see all see the rows."""
    if not request.everywhere:
        raise NotFoundError(kind)


@act("/refused-rows/{id}/retry", back=refused_rows)
async def retry_refused_row(request: PageRequest) -> View:
    """``POST /dashboard/refused-rows/{id}/retry``: the row waits to be tried again."""
    _check_everywhere(request, "row")
    await request.services.refused_rows.retry(request.actor, _row_id(request))
    return request.go("/refused-rows", "row.retried")


@act("/refused-rows/{id}/discard", back=refused_rows)
async def discard_refused_row(request: PageRequest) -> View:
    """``POST /dashboard/refused-rows/{id}/discard``: its event is never accepted."""
    _check_everywhere(request, "row")
    await request.services.refused_rows.discard(request.actor, _row_id(request))
    return request.go("/refused-rows", "row.discarded")


def _row_id(request: PageRequest) -> int:
    row_id = _read_id(request.path())
    if row_id is None:
        raise NotFoundError("row")
    return row_id


def _read_id(text: str) -> int | None:
    """Read a row's id: any ``bigint``, as the application may choose it. None if it is not one."""
    if not _ID.fullmatch(text) or not -MAX_ID <= int(text) <= MAX_ID:
        return None
    return int(text)


MAX_ID = (1 << 63) - 1
_ID = re.compile(r"-?[0-9]{1,19}")


PAGES = (refused_rows, retry_refused_row, discard_refused_row)
