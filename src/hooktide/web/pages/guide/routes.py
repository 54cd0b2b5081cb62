"""Where the guides are served: a page, Markdown, and two documents for machines; no key is needed.

A missing project and one without a public guide answer the same.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import Scope
from hooktide.domain.time.times import show_time
from hooktide.runtime.cache import Cache
from hooktide.store.base import ProjectRow
from hooktide.store.contract import Store
from hooktide.web.http.client_address import address_of
from hooktide.web.operations.deps import Services
from hooktide.web.pages.framework.answering import page_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.rendering import POLICY
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.session import PublicSession, Session
from hooktide.web.pages.framework.skin import Skin
from hooktide.web.pages.framework.view import File, Template, View
from hooktide.web.pages.guide.asyncapi import make_asyncapi
from hooktide.web.pages.guide.guide import as_html, as_markdown
from hooktide.web.pages.guide.openapi import make_openapi
from hooktide.web.pages.guide.subject import Served, Subject, make_subject

_NAME = re.compile(r"[a-z0-9-]{1,63}")
MAX_CACHED_DOCUMENTS = 64
"""Documents that are kept in memory; each is written again when its project changes."""
PUBLIC: Mapping[str, str] = {"cache-control": "no-cache", "access-control-allow-origin": "*"}
"""Pages of other sites may read a guide; caches revalidate it each time."""

Writer = Callable[[Subject, str], str | bytes]
"""Writes a document of a project; the text is the version, when the project was last changed."""


class Reader(PublicSession):
    """The session of a reader of a guide; ``shelf`` has the guides."""

    def __init__(self, address: str, shelf: "Shelf") -> None:
        super().__init__(address)
        self.shelf = shelf


class GuideSkin(Skin):
    """The public pages."""

    base = "/docs"
    templates = "guide"

    def __init__(self, shelf: "Shelf") -> None:
        self._shelf = shelf

    async def enter(self, request: Request) -> Session:
        """Let everyone in."""
        return Reader(address_of(request), self._shelf)

    def explain(self, error: HooktideError, session: Session | None) -> Template:
        """Show that there is no guide here; other errors are problem responses, as in the API."""
        if isinstance(error, NotFoundError):
            return Template("missing.html", {}, 404)
        raise error

    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of a guide."""
        return {**POLICY, "cache-control": "no-store"} if error else {**POLICY, **PUBLIC}


@page("/{name}.md")
async def guide_as_markdown(request: PageRequest) -> View:
    """``GET /docs/{name}.md``."""
    return await _document(request, _markdown, "text/markdown; charset=utf-8")


@page("/{name}")
async def guide(request: PageRequest) -> View:
    """``GET /docs/{name}``."""
    return await _document(request, _page, "text/html; charset=utf-8")


@page("/{name}/openapi.json")
async def openapi(request: PageRequest) -> View:
    """``GET /docs/{name}/openapi.json``: its webhooks for machines."""
    return await _document(request, _openapi, "application/json")


@page("/{name}/asyncapi.json")
async def asyncapi(request: PageRequest) -> View:
    """``GET /docs/{name}/asyncapi.json``."""
    return await _document(request, _asyncapi, "application/json")


PAGES = (guide_as_markdown, guide, openapi, asyncapi)


def docs_routes(services: Services, policy: UrlPolicy, live: Live) -> list[Route]:
    """Return the routes of the public docs."""
    served = Served(
        public_url=services.public_url,
        allow_http=policy.allow_http,
        only_port_443=policy.strict_ports,
    )
    return page_routes(PAGES, GuideSkin(Shelf(services.store, served)), services, live)


async def _document(request: PageRequest, write: Writer, media_type: str) -> View:
    """Return a document of the project in the path.

    :raises NotFoundError: it has none that is public.
    """
    if not isinstance(request.session, Reader):
        raise TypeError("this is a page of the guide")
    document = await request.session.shelf.document(request.path("name"), write)
    return File(document.content, media_type, tag=document.tag)


def _page(subject: Subject, _: str) -> str:
    return as_html(subject)


def _markdown(subject: Subject, _: str) -> str:
    return as_markdown(subject)


def _openapi(subject: Subject, version: str) -> bytes:
    return msgspec.json.encode(make_openapi(subject, version))


def _asyncapi(subject: Subject, version: str) -> bytes:
    return msgspec.json.encode(make_asyncapi(subject, version))


@dataclass(frozen=True, slots=True)
class Document:
    """A written document, what it was written from, and the tag that tells it from others."""

    row: ProjectRow
    content: bytes
    tag: str


class Shelf:
    """Caches the documents of the requested projects while they are up to date."""

    def __init__(self, store: Store, served: Served) -> None:
        self._store = store
        self._served = served
        self._documents: Cache[tuple[str, Writer], Document] = Cache(MAX_CACHED_DOCUMENTS)
        self._writing = asyncio.Lock()

    async def document(self, name: str, write: Writer) -> Document:
        """Return the current document of a project; only one is generated at a time.

        :raises NotFoundError: the project does not exist, or its guide is not public.
        """
        row = await self._find(name)
        place = (row.project.name, write)
        async with self._writing:
            found = self._documents.get(place)
            if found is None or found.row != row:
                found = await asyncio.to_thread(self._write, row, write)
                self._documents.keep(place, found)
        return found

    async def _find(self, name: str) -> ProjectRow:
        if not _NAME.fullmatch(name):
            raise NotFoundError("guide")
        row = await self._store.get_project(Scope(), name)
        if not row.project.public_docs:
            raise NotFoundError("guide")
        return row

    def _write(self, row: ProjectRow, write: Writer) -> Document:
        subject = make_subject(row.project, self._served)
        written = write(subject, show_time(row.updated_at))
        content = written.encode() if isinstance(written, str) else written
        return Document(row, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
