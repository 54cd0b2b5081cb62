"""Changing an endpoint: where it is, what it wants, what it is called."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import Endpoint
from hooktide.web.delivery_view import endpoint_name
from hooktide.web.forms import faults_of, read_form
from hooktide.web.portal.door import Guest, to
from hooktide.web.portal.fields import Typed, typed_in, typed_of
from hooktide.web.portal.tools import Tools, endpoint_id


class Editing:
    """``/portal/{token}/endpoints/{id}/edit``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, request: Request) -> Response:
        """Show the endpoint in its form."""
        endpoint = await self._tools.store.get_endpoint(guest.scope, endpoint_id(request))
        return self._form(guest, endpoint, typed_of(endpoint), {})

    async def change(self, guest: Guest, request: Request) -> Response:
        """Change what was typed."""
        tools = self._tools
        endpoint = await tools.store.get_endpoint(guest.scope, endpoint_id(request))
        typed = typed_in(await read_form(request))
        try:
            given = typed.values(dict(endpoint.headers))
            changed = await tools.endpoints.change(guest.scope, endpoint.id, given)
        except (InvalidError, RefusedError) as error:
            return self._form(guest, endpoint, typed, faults_of(error), error.status)
        text = show("ep", endpoint.id)
        names = [name for name in given if getattr(changed, name) != getattr(endpoint, name)]
        await tools.tell(guest, "endpoint.change", text, ", ".join(names))
        return to(guest, f"/endpoints/{text}?done=changed")

    def _form(
        self,
        guest: Guest,
        endpoint: Endpoint,
        typed: Typed,
        faults: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        return self._tools.door.show(
            guest,
            "edit.html",
            status=status,
            endpoint=show("ep", endpoint.id),
            called=endpoint_name(endpoint),
            typed=typed,
            tree=typed.catalogue(guest),
            any_types=True,
            faults=faults,
        )
