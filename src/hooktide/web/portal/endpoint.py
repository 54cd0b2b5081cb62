"""One endpoint: how it does, what came last, how it is set up, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hooktide.actions.delivery_log import Line, Wanted
from hooktide.domain.errors import NotFoundError
from hooktide.domain.hints import Hint, hint
from hooktide.domain.ids import read, show
from hooktide.domain.model import DAY, Bin, Endpoint
from hooktide.domain.project import offered, wants
from hooktide.domain.times import show_time
from hooktide.web.delivery_view import Row, row_of
from hooktide.web.docs.render import shown
from hooktide.web.portal.adding import CHATS
from hooktide.web.portal.door import Guest
from hooktide.web.portal.shapes import card_of
from hooktide.web.portal.snippets import programs
from hooktide.web.portal.tools import Tools, endpoint_id

NEWEST = 8
DONE = {
    "changed": "Changed.",
    "disabled": "Disabled. Nothing more is sent to it.",
    "enabled": "Enabled. Events are sent to it again.",
}


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test brought back."""

    row: Row
    detail: str
    hint: Hint | None
    body: str


@dataclass(frozen=True, slots=True)
class Came:
    """A request that the test URL got."""

    at: str
    verdict: str
    reason: str


class One:
    """``/portal/{token}/endpoints/{id}``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, request: Request) -> Response:
        """Show the endpoint; ``tested`` is a test to show the result of, ``done`` what was done."""
        tools, now = self._tools, self._tools.clock()
        number = endpoint_id(request)
        endpoint = await tools.store.get_endpoint(guest.scope, number)
        health = await tools.store.health(guest.scope, [number], now - DAY)
        newest = await tools.log.search(guest.scope, Wanted(endpoint_id=number), None, NEWEST)
        found = await tools.bin_of(endpoint.url)
        query = request.query_params
        text = show("ep", number)
        return tools.door.show(
            guest,
            "endpoint.html",
            stream=f"{guest.base}/events?endpoint={text}",
            card=card_of(endpoint, health.get(number), guest.project),
            rows=[row_of(line, guest.plan, {}, now) for line in newest.lines],
            more=newest.next_before is not None,
            tested=await self._tested(guest, endpoint, query.get("tested", "")),
            done=DONE.get(query.get("done", ""), ""),
            missed_since=query.get("since", "")[:40] if query.get("done") == "enabled" else "",
            disable_after=guest.project.disable_after,
            types=_testable(guest, endpoint),
            headers=[name for name, _ in endpoint.headers],
            retiring=[show_time(each.retires_at) for each in endpoint.secrets if each.retires_at],
            secret_since=show_time(endpoint.secrets[0].created_at) if endpoint.secrets else "",
            came=await self._came(found),
            bin_page="" if found is None else f"{tools.public_url}/bin/{found.token}/page",
            chat=CHATS.get(endpoint.kind, ""),
            signed=endpoint.kind not in CHATS and bool(programs(guest.project.dialect)),
        )

    async def _tested(self, guest: Guest, endpoint: Endpoint, text: str) -> Tested | None:
        try:
            delivery = await self._tools.store.get_delivery(guest.scope, read("dlv", text))
        except NotFoundError:
            return None
        attempts = await self._tools.store.list_attempts(guest.scope, delivery.id)
        if delivery.endpoint_id != endpoint.id or not attempts:
            return None
        last = attempts[-1]
        return Tested(
            row=row_of(Line(delivery, last), guest.plan, {}, self._tools.clock()),
            detail=shown(last.detail),
            hint=hint(last, guest.plan.timeout),
            body=shown(last.response_body.decode("utf-8", "backslashreplace"))[:500],
        )

    async def _came(self, found: Bin | None) -> Sequence[Came]:
        if found is None:
            return ()
        page = await self._tools.bins.requests(found, None, 5)
        return [
            Came(show_time(each.received_at), each.verdict.value, shown(each.reason))
            for each in page.items
        ]


def _testable(guest: Guest, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return the types to test with, those first that the endpoint wants."""
    names = [kind.name for kind in offered(guest.project, guest.account.reference)]
    wanted = [name for name in names if wants(endpoint.event_types, name)]
    others = [name for name in names if name not in wanted]
    return [(name, name) for name in (*wanted, *others)]
