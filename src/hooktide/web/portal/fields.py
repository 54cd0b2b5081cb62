"""An endpoint's form: what it shows, and what was typed into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hooktide.actions.endpoints import MASK, Wanted
from hooktide.domain.errors import InvalidError
from hooktide.domain.model import Endpoint
from hooktide.domain.project import offered
from hooktide.web.forms import Form
from hooktide.web.portal.catalogue import Catalogue, catalogue, simplest
from hooktide.web.portal.door import Guest


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """An endpoint as somebody typed it. ``headers`` are lines like ``Name: value``."""

    url: str = ""
    types: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    headers: str = ""

    def catalogue(self, guest: Guest) -> Catalogue:
        """Return the event types that the guest may pick, with those that are picked."""
        return catalogue(offered(guest.project, guest.account.reference), self.types)

    def values(self, old: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of ``Wanted``; ``old`` are the headers as they are kept.

        :raises InvalidError: a line is no header.
        """
        return {
            "url": self.url,
            "event_types": simplest(self.types),
            "name": self.name,
            "description": self.description,
            "headers": _read_headers(self.headers, old),
        }

    def wanted(self) -> Wanted:
        """Return a new endpoint.

        :raises InvalidError: a line is no header.
        """
        return Wanted(**self.values({}))


def typed_in(form: Form) -> Typed:
    """Read what was typed."""
    return Typed(
        url=form.text("url"),
        types=form.all("types"),
        name=form.text("name"),
        description=form.text("description"),
        headers=form.text("headers"),
    )


def typed_of(endpoint: Endpoint) -> Typed:
    """Show an endpoint in its form."""
    return Typed(
        url=endpoint.url,
        types=endpoint.event_types,
        name=endpoint.name,
        description=endpoint.description,
        headers="\n".join(f"{name}: {MASK}" for name, _ in endpoint.headers),
    )


def _read_headers(text: str, old: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not (name or colon):
            continue
        if not colon or not name:
            raise _wrong(f"write each as Name: value, not {line.strip()[:60]!r}")
        if name in found:
            raise _wrong(f"{name[:60]} is there twice")
        found[name] = old.get(name, value) if value == MASK else value
    return found


def _wrong(detail: str) -> InvalidError:
    return InvalidError("invalid_headers", detail, pointer="/headers")
