"""Adding an endpoint: the form, a test URL in its place, and the secret, which is shown once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hooktide.actions.bins import NewBin
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import Endpoint, EndpointKind, Secret
from hooktide.domain.project import offered
from hooktide.web.forms import faults_of, read_form
from hooktide.web.portal.catalogue import ALL
from hooktide.web.portal.door import Guest
from hooktide.web.portal.fields import Typed, typed_in
from hooktide.web.portal.snippets import programs, show_secret
from hooktide.web.portal.tools import Tools

CHATS = {
    EndpointKind.SLACK: "Slack",
    EndpointKind.DISCORD: "Discord",
    EndpointKind.TEAMS: "Teams",
    EndpointKind.MAIL: "Mail",
}
"""The kinds of endpoint that are a chat's: they get a readable message, and nothing is signed."""


class Adding:
    """``/portal/{token}/endpoints/new``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, _: Request) -> Response:
        """Show the empty form."""
        return self._form(guest, Typed(types=(ALL,)), {})

    async def add(self, guest: Guest, request: Request) -> Response:
        """Add what was typed; or, where a test URL is asked for, put one into the form."""
        form = await read_form(request)
        typed = typed_in(form)
        try:
            if form.text("do") == "bin":
                return self._form(guest, replace(typed, url=await self._new_bin(guest)), {})
            made, secret = await self._tools.endpoints.add(guest.scope, None, typed.wanted())
        except (InvalidError, RefusedError) as error:
            return self._form(guest, typed, faults_of(error), error.status)
        await self._tools.tell(guest, "endpoint.add", show("ep", made.id), made.name)
        return await show_made(self._tools, guest, made, secret, "made.html")

    async def _new_bin(self, guest: Guest) -> str:
        made = await self._tools.bins.add(guest.scope, NewBin())
        return f"{self._tools.public_url}/bin/{made.token}"

    def _form(
        self, guest: Guest, typed: Typed, faults: Mapping[str, str], status: int = 200
    ) -> Response:
        types = offered(guest.project, guest.account.reference)
        return self._tools.door.show(
            guest,
            "new.html",
            status=status,
            typed=typed,
            tree=typed.catalogue(guest),
            any_types=bool(types),
            faults=faults,
            is_bin=typed.url.startswith(f"{self._tools.public_url}/bin/"),
        )


async def show_made(
    tools: Tools, guest: Guest, endpoint: Endpoint, secret: Secret, template: str, **facts: Any
) -> Response:
    """Show a new secret, this once, and how to verify with it."""
    found = await tools.bin_of(endpoint.url)
    chat = CHATS.get(endpoint.kind, "")
    return tools.door.show(
        guest,
        template,
        endpoint=show("ep", endpoint.id),
        url=endpoint.url,
        bin_page=f"{endpoint.url.partition(found.token)[0]}{found.token}/page" if found else "",
        secret=show_secret(secret, guest.project.dialect),
        programs=() if chat else programs(guest.project.dialect),
        chat=chat,
        **facts,
    )
