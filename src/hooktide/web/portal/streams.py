"""What tells the portal's open pages that something they show has changed."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.ids import read
from hooktide.domain.model import DAY, DeliveryState
from hooktide.web.portal.door import Guest
from hooktide.web.portal.tools import Tools

NEWEST = 50


class Streams:
    """``/portal/{token}/events``; ``delivery``, ``endpoint`` or ``replay`` is looked at beside."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def events(self, guest: Guest, request: Request) -> Response:
        """Say when something changed."""
        name, more = await self._more(guest, request)

        async def look() -> Any:
            return [await self._log(guest), await more()]

        account = guest.account.id
        return self._tools.live.stream((account, name), look, owner=account)

    async def _log(self, guest: Guest) -> Any:
        store, scope = self._tools.store, guest.scope
        newest = await store.list_deliveries(scope, None, NEWEST)
        pending = await store.list_deliveries(scope, None, NEWEST, state=DeliveryState.PENDING)
        endpoints = await self._tools.all_endpoints(guest)
        since = self._tools.clock() - DAY
        health = await store.health(scope, [each.id for each in endpoints], since)
        return [newest, pending, endpoints, health]

    async def _more(
        self, guest: Guest, request: Request
    ) -> tuple[str, Callable[[], Awaitable[Any]]]:
        """Return what else a page shows.

        :raises NotFoundError: it is not the guest's.
        """
        query, store, scope = request.query_params, self._tools.store, guest.scope
        if text := query.get("delivery"):
            delivery = await store.get_delivery(scope, read("dlv", text))
            return text, lambda: store.get_delivery(scope, delivery.id)
        if text := query.get("replay"):
            replay = await store.get_replay(scope, read("rpl", text))
            return text, lambda: store.get_replay(scope, replay.id)
        if text := query.get("endpoint"):
            endpoint = await store.get_endpoint(scope, read("ep", text))
            return text, lambda: self._came(endpoint.url)
        return "", _nothing

    async def _came(self, url: str) -> Any:
        found = await self._tools.bin_of(url)
        return None if found is None else await self._tools.bins.requests(found, None, 1)


async def _nothing() -> None:
    return None
