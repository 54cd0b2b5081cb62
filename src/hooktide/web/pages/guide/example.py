"""An event as a receiver would get it: what the guide shows is made by what sends.

The instant, the id and the secret are fixed, so that a page stays the same from look to look.
"""

from dataclasses import dataclass

import msgspec

from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import SECOND, Event, Micros
from hooktide.domain.project.project import EventType, Project
from hooktide.web.pages.framework.visible_text import MAX_SHOWN

AT: Micros = 1_773_307_800 * SECOND + 631_326
"""2026-03-12T09:30:00.631326Z."""
ENDPOINT = "https://example.com/webhooks"
SECRET = new_secret(bytes(range(32)))

ID = IdMaker()(AT)
"""Of the event, and of the endpoint."""
_TARGET = check_url(ENDPOINT, UrlPolicy())


@dataclass(frozen=True, slots=True)
class Example:
    """A delivery of an event type's example: the request's head and body as they would be sent."""

    head: str
    body: str

    @property
    def pretty(self) -> str:
        """The body indented, its numbers, order and escapes untouched."""
        return indented(self.body)

    @property
    def headers(self) -> dict[str, str]:
        """The headers by their names."""
        lines = self.head.split("\r\n")[1:-2]
        return dict(line.split(": ", 1) for line in lines)

    @property
    def request(self) -> str:
        """The whole request."""
        return self.head.replace("\r\n", "\n") + self.body


def make_example(project: Project, kind: EventType) -> Example:
    """Compose the example of an event type, signed with ``SECRET``."""
    event = Event(
        id=ID,
        account_id=0,
        type=kind.name,
        payload=kind.example.encode(),
        occurred_at=AT,
        transition=kind.transition,
    )
    composer = compile_dialect(project.dialect)
    body = composer.body(event)
    head = composer.compose(
        event, _TARGET.prefix_of(project.dialect.user_agent), (SECRET,), body, AT
    )
    return Example(head.decode("ascii"), body.decode())


def indented(text: str) -> str:
    """Indent JSON; text that msgspec does not read, or that would be too long, stays as it is."""
    try:
        found = msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text
    return found if len(found) <= max(len(text), MAX_SHOWN) else text
