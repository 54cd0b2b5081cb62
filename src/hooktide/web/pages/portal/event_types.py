"""The event types that a customer can subscribe to, each with an example and its schema."""

from dataclasses import dataclass

from hooktide.domain.project.project import EventType, offered
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.guide.example import indented
from hooktide.web.pages.views.endpoint_form import account_of


@dataclass(frozen=True, slots=True)
class Offered:
    """An event type as the catalogue shows it; ``schema`` is empty where it has none."""

    name: str
    description: str
    example: str
    schema: str


@page("/event-types")
async def event_types(request: PageRequest) -> View:
    """Show the catalogue; ``?q=`` a part of a name or a description."""
    account = await account_of(request)
    project = (await request.project(account.project_id)).project
    text = request.query.text("q")
    kinds = offered(project, account.reference)
    return request.show(
        "event_types.html",
        text=text,
        count=len(kinds),
        kinds=[
            Offered(
                kind.name, kind.description, indented(kind.example), indented(kind.schema or "")
            )
            for kind in kinds
            if _says(kind, text.lower())
        ],
    )


def _says(kind: EventType, text: str) -> bool:
    return text in kind.name.lower() or text in kind.description.lower()


PAGES = (event_types,)
