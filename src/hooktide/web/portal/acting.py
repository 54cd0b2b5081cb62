"""What is done to one endpoint: tested, rotated, disabled, enabled, removed.

What cannot be undone, or has a cost, has a page before it that says so plainly.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.ids import show
from hooktide.domain.model import DeliveryState, Endpoint, Scope
from hooktide.domain.project import Project
from hooktide.domain.times import show_time
from hooktide.web.delivery_view import endpoint_name
from hooktide.web.docs import words
from hooktide.web.forms import read_form
from hooktide.web.portal.adding import show_made
from hooktide.web.portal.door import Guest, to
from hooktide.web.portal.tools import Tools, endpoint_id

MOST_COUNTED = 100


class Acting:
    """``/portal/{token}/endpoints/{id}/…``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def test(self, guest: Guest, request: Request) -> Response:
        """Send a test event at once, and show on the endpoint's page what came back."""
        wanted = (await read_form(request)).text("type")
        number = endpoint_id(request)
        made = await self._tools.endpoints.test(guest.scope, number, wanted or None)
        text = show("ep", number)
        tested = show("dlv", made.claim.delivery_id)
        return to(guest, f"/endpoints/{text}?tested={tested}#tested")

    async def ask_rotate(self, guest: Guest, request: Request) -> Response:
        """Say what rotating means."""
        facts = rotation_facts(guest.project)
        return await self._ask(guest, request, "rotate.html", facts=facts)

    async def rotate(self, guest: Guest, request: Request) -> Response:
        """Make a new secret, and show it this once."""
        tools = self._tools
        made = await tools.endpoints.rotate(guest.scope, endpoint_id(request))
        old = made.old_stops_at
        await tools.tell(guest, "secret.rotate", show("ep", made.endpoint.id))
        overlaps = old > tools.clock() and guest.project.dialect.standard_headers
        return await show_made(
            tools,
            guest,
            made.endpoint,
            made.secret,
            "rotated.html",
            old_stops_at=show_time(old) if overlaps else "",
        )

    async def ask_disable(self, guest: Guest, request: Request) -> Response:
        """Say what disabling means."""
        pending = await self._pending(guest.scope, endpoint_id(request))
        kept = words.span(guest.project.retention)
        return await self._ask(guest, request, "disable.html", pending=pending, kept=kept)

    async def disable(self, guest: Guest, request: Request) -> Response:
        """Send nothing more."""
        changed = await self._tools.endpoints.disable(guest.scope, endpoint_id(request))
        return await self._done(guest, changed, "disable", "disabled")

    async def enable(self, guest: Guest, request: Request) -> Response:
        """Send again, and offer what was missed."""
        number = endpoint_id(request)
        before = await self._tools.store.get_endpoint(guest.scope, number)
        changed = await self._tools.endpoints.enable(guest.scope, number)
        since = "" if before.disabled_at is None else f"&since={show_time(before.disabled_at)}"
        return await self._done(guest, changed, "enable", f"enabled{since}")

    async def ask_remove(self, guest: Guest, request: Request) -> Response:
        """Say what removing means."""
        pending = await self._pending(guest.scope, endpoint_id(request))
        return await self._ask(guest, request, "remove.html", pending=pending)

    async def remove(self, guest: Guest, request: Request) -> Response:
        """Remove the endpoint."""
        number = endpoint_id(request)
        endpoint = await self._tools.store.get_endpoint(guest.scope, number)
        await self._tools.endpoints.remove(guest.scope, number)
        await self._tools.tell(guest, "endpoint.remove", show("ep", number), endpoint.name)
        return to(guest, "?done=removed")

    async def _ask(self, guest: Guest, request: Request, template: str, **facts: Any) -> Response:
        endpoint = await self._tools.store.get_endpoint(guest.scope, endpoint_id(request))
        return self._tools.door.show(
            guest,
            template,
            endpoint=show("ep", endpoint.id),
            called=endpoint_name(endpoint),
            **facts,
        )

    async def _done(self, guest: Guest, endpoint: Endpoint, what: str, done: str) -> Response:
        text = show("ep", endpoint.id)
        await self._tools.tell(guest, f"endpoint.{what}", text, endpoint.name)
        return to(guest, f"/endpoints/{text}?done={done}")

    async def _pending(self, scope: Scope, number: int) -> str:
        """Say how much waits for an endpoint; empty: nothing."""
        found = 0
        for state in (DeliveryState.PENDING, DeliveryState.HELD):
            page = await self._tools.store.list_deliveries(
                scope, None, MOST_COUNTED, endpoint_id=number, state=state
            )
            found += len(page.items)
            if page.next_before is not None:
                return f"More than {MOST_COUNTED} deliveries"
        return words.several(found, "delivery") if found else ""


def rotation_facts(project: Project) -> list[str]:
    """Say what a rotation does to requests, by the project's rule and its headers."""
    dialect, overlap = project.dialect, project.rotation_overlap
    own = dialect.signature.header if dialect.signature else ""
    facts = []
    if overlap and dialect.standard_headers:
        facts.append(
            f"For {words.span(overlap)} both secrets sign: webhook-signature carries a signature "
            "of each, and receivers that check it take either."
        )
        if own:
            facts.append(
                f"{own} has room for one signature: from now on it is made with the new secret."
            )
    elif own or dialect.standard_headers:
        facts.append(
            "The old secret stops at once: requests are signed with the new one from now on. Until "
            "your receiver has it, it will refuse them; they are tried again later."
        )
    facts.append("The new secret is shown once.")
    return facts
