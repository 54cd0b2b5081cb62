"""The log of deliveries: filtered, live, one of them opened in a drawer, sent again."""

from starlette.requests import Request
from starlette.responses import Response

from hooktide.actions.delivery_log import Line
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import read, show
from hooktide.domain.model import Endpoint
from hooktide.domain.project import offered
from hooktide.domain.times import show_time
from hooktide.web.delivery_view import (
    Filters,
    Opened,
    endpoint_name,
    open_delivery,
    read_filters,
    row_of,
)
from hooktide.web.portal.door import Guest, to
from hooktide.web.portal.tools import Tools

A_PAGE = 50


class Deliveries:
    """``/portal/{token}/deliveries``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, request: Request) -> Response:
        """Show a page of the log; ``delivery`` opens one of them."""
        tools, now = self._tools, self._tools.clock()
        filters = read_filters(request.scope["query_string"])
        found = await tools.log.search(guest.scope, filters.wanted, filters.before, A_PAGE)
        endpoints = await tools.all_endpoints(guest)
        names = {each.id: endpoint_name(each) for each in endpoints}
        here = "" if filters.before is None else show("dlv", filters.before)
        base = f"{guest.base}/deliveries"
        opened = await self._opened(guest, request.query_params.get("delivery", ""))
        return tools.door.show(
            guest,
            "deliveries.html",
            stream=_stream(guest, opened),
            filters=filters,
            types=[(kind.name,) * 2 for kind in offered(guest.project, guest.account.reference)],
            endpoints=[(show("ep", number), name) for number, name in names.items()],
            rows=[row_of(line, guest.plan, names, now) for line in found.lines],
            href=lambda id_: base + _here(filters, here, delivery=id_),
            close=base + _here(filters, here) + ("" if opened is None else f"#row-{opened.row.id}"),
            newest=base + filters.query() if here else "",
            older=_older(base, filters, found.next_before),
            looked_to="" if found.looked_to is None else show_time(found.looked_to),
            opened=opened,
            resend=self._resend(guest, opened),
        )

    async def _opened(self, guest: Guest, text: str) -> Opened | None:
        if not text:
            return None
        store = self._tools.store
        delivery = await store.get_delivery(guest.scope, read("dlv", text))
        attempts = await store.list_attempts(guest.scope, delivery.id)
        row = await store.get_event(guest.scope, delivery.event_id)
        return open_delivery(
            Line(delivery, None),
            attempts,
            row.event,
            await self._endpoint(guest, delivery.endpoint_id),
            guest.project,
            guest.plan,
            self._tools.clock(),
        )

    async def _endpoint(self, guest: Guest, number: int) -> Endpoint | None:
        try:
            return await self._tools.store.get_endpoint(guest.scope, number)
        except NotFoundError:
            return None

    def _resend(self, guest: Guest, opened: Opened | None) -> str:
        if opened is None or guest.link.read_only or not opened.url or opened.row.word == "Held":
            return ""
        return f"{guest.base}/deliveries/{opened.row.id}/resend"

    async def resend(self, guest: Guest, request: Request) -> Response:
        """Send the same event again, and open the new delivery."""
        tools = self._tools
        number = read("dlv", request.path_params["id"])
        made = await tools.store.resend(guest.scope, number, tools.clock())
        await tools.tell(guest, "delivery.resend", show("dlv", number), made.event_type)
        return to(guest, f"/deliveries?delivery={show('dlv', made.id)}")


def _stream(guest: Guest, opened: Opened | None) -> str:
    more = "" if opened is None else f"?delivery={opened.row.id}"
    return f"{guest.base}/events{more}"


def _here(filters: Filters, before: str, **more: str) -> str:
    return filters.query(**({"before": before} if before else {}), **more)


def _older(base: str, filters: Filters, before: int | None) -> str:
    return "" if before is None else base + filters.query(before=show("dlv", before))
