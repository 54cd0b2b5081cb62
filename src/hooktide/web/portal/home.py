"""The portal's first page: the endpoints and how they do, and what the plan has left."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.model import DAY
from hooktide.domain.numbers import MOST_COUNTED, AccountUsage
from hooktide.domain.project import Plan
from hooktide.web.delivery_view import hour_words
from hooktide.web.docs import words
from hooktide.web.portal.door import Guest
from hooktide.web.portal.shapes import card_of
from hooktide.web.portal.theme import page_headers, style_sheet
from hooktide.web.portal.tools import Tools


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of something the plan allows is used. ``limit``: None where it limits none."""

    label: str
    used: int
    limit: int | None

    @property
    def tone(self) -> str:
        """How near the limit is."""
        if self.limit is None or self.used < 0.8 * self.limit:
            return ""
        return "bad" if self.used >= self.limit else "heed"


class Home:
    """``/portal/{token}``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, _: Request) -> Response:
        """Show the endpoints."""
        tools = self._tools
        endpoints = await tools.all_endpoints(guest)
        now = tools.clock()
        ids = [each.id for each in endpoints]
        health = await tools.store.health(guest.scope, ids, now - DAY)
        usage = await tools.store.account_usage(guest.scope, guest.account.id, now)
        limit = guest.plan.endpoints
        return tools.door.show(
            guest,
            "home.html",
            stream=f"{guest.base}/events",
            cards=[card_of(each, health.get(each.id), guest.project) for each in endpoints],
            meters=meters(guest.plan, usage),
            held=_held(guest.plan, usage),
            full=limit is not None and len(endpoints) >= limit,
            limit=limit,
        )

    async def theme(self, guest: Guest, _: Request) -> Response:
        """``/portal/{token}/theme.css``."""
        headers = page_headers(guest.project.portal)
        return Response(style_sheet(guest.project.portal), headers=headers, media_type="text/css")


def meters(plan: Plan, usage: AccountUsage) -> list[Meter]:
    """Say how much of a plan is used."""
    return [
        Meter("Endpoints", usage.endpoints, plan.endpoints),
        Meter("Deliveries within the hour", usage.deliveries, plan.deliveries_per_hour),
    ]


def _held(plan: Plan, usage: AccountUsage) -> str:
    """Say why something waits, and until when; empty: nothing does."""
    if not usage.held:
        return ""
    more = " or more" if usage.held >= MOST_COUNTED else ""
    held = f"{words.several(usage.held, 'delivery')}{more}"
    return (
        f"{held} held back: your plan allows {hour_words(plan)} an hour, and they are used up. "
        "Nothing is lost: what is held goes out by itself, oldest first, as soon as the hour has "
        "room."
    )
