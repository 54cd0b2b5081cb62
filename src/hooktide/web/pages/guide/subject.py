"""A project as its guide presents it."""

from dataclasses import dataclass

from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.project.project import EventType, Project
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.envelope import Member, find, members


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a guide says about the server: its address, and which URLs it sends to."""

    public_url: str
    allow_http: bool
    only_port_443: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """A project, and the public information about it.

    ``types`` are those that any account may use: those offered to selected accounts are not public.
    ``kind`` is the event type of the examples; a made-up one if there are none.
    """

    project: Project
    served: Served
    title: str
    types: tuple[EventType, ...]
    kind: EventType
    members: tuple[Member, ...]

    @property
    def dialect(self) -> Dialect:
        """The project's wire format."""
        return self.project.dialect

    @property
    def signs(self) -> bool:
        """Whether requests are signed at all."""
        return self.dialect.standard_headers or self.dialect.signature is not None

    @property
    def entity(self) -> str:
        """The first part of the example's type."""
        return self.kind.name.partition(".")[0]

    def at(self, slot: str) -> str:
        """Return the path of a slot's value in the body; empty if it is not in it."""
        return find(self.members, slot)


def make_subject(project: Project, served: Served) -> Subject:
    """Return the public view of a project."""
    types = tuple(kind for kind in project.event_types if not kind.accounts)
    kind = types[0] if types else EventType(name="thing.happened")
    title = formats.product_name(project)
    return Subject(project, served, title, types, kind, members(project.dialect, kind))
