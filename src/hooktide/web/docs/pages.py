"""Where the docs are served: a page, Markdown, and two documents for machines; no key is needed.

A project that is not there and one that keeps its docs to itself answer the same.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.domain.address import UrlPolicy
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Scope
from hooktide.domain.project import Project
from hooktide.domain.times import show_time
from hooktide.store.base import ProjectRow, Store
from hooktide.web.docs.asyncapi import make_asyncapi
from hooktide.web.docs.guide import make_guide
from hooktide.web.docs.openapi import make_openapi
from hooktide.web.docs.render import html, markdown, missing
from hooktide.web.docs.subject import Served, Subject, make_subject
from hooktide.web.look import POLICY

_NAME = re.compile(r"[a-z0-9-]{1,63}")
MOST_KEPT = 64
"""Documents that are kept in memory; each is written again when its project changes."""

Writer = Callable[[Subject, str], str | bytes]
"""Writes a document of a project; the text is the version, when the project was last changed."""


def docs_routes(store: Store, public_url: str, policy: UrlPolicy) -> list[Route]:
    """Return the routes of the public docs."""
    served = Served(
        public_url=public_url,
        allow_http=policy.allow_http,
        only_port_443=policy.strict_ports,
    )
    shelf = Shelf(store, served)
    return [
        Route("/docs/{name}.md", shelf.serving(_markdown, "text/markdown; charset=utf-8")),
        Route("/docs/{name}", shelf.serving(_page, "text/html; charset=utf-8")),
        Route("/docs/{name}/openapi.json", shelf.serving(_openapi, "application/json")),
        Route("/docs/{name}/asyncapi.json", shelf.serving(_asyncapi, "application/json")),
    ]


def docs_url(project: Project, public_url: str) -> str | None:
    """Return where a project's docs are; None: it keeps them to itself."""
    return f"{public_url}/docs/{project.name}" if project.public_docs else None


def _page(subject: Subject, _: str) -> str:
    return html(make_guide(subject))


def _markdown(subject: Subject, _: str) -> str:
    return markdown(make_guide(subject), f"{subject.served.public_url}/docs/{subject.project.name}")


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
    """Keeps the documents of the projects that are asked for, as long as they are true."""

    def __init__(self, store: Store, served: Served) -> None:
        self._store = store
        self._served = served
        self._kept: dict[tuple[str, Writer], Document] = {}
        self._writing = asyncio.Lock()
        self._missing = missing()

    def serving(self, write: Writer, kind: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler that answers with one kind of document."""

        async def serve(request: Request) -> Response:
            row = await self._find(request.path_params["name"])
            if row is None:
                headers = {**POLICY, "cache-control": "no-store"}
                return Response(self._missing, 404, headers, media_type="text/html")
            document = await self._document(row, write)
            return _answer(request, document, kind)

        return serve

    async def _find(self, name: str) -> ProjectRow | None:
        if not _NAME.fullmatch(name):
            return None
        try:
            row = await self._store.get_project(Scope(), name)
        except NotFoundError:
            return None
        return row if row.project.public_docs else None

    async def _document(self, row: ProjectRow, write: Writer) -> Document:
        """Return a document as its project is now; only one is written at a time."""
        place = (row.project.name, write)
        async with self._writing:
            found = self._kept.get(place)
            if found is None or found.row != row:
                found = await asyncio.to_thread(self._write, row, write)
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[place] = found
        return found

    def _write(self, row: ProjectRow, write: Writer) -> Document:
        subject = make_subject(row.project, self._served)
        written = write(subject, show_time(row.changed_at))
        content = written.encode() if isinstance(written, str) else written
        return Document(row, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _answer(request: Request, document: Document, kind: str) -> Response:
    """Answer with a document, or say that the reader has it.

    It is public: pages of other sites may read it.
    """
    headers = {
        **POLICY,
        "content-type": kind,
        "cache-control": "no-cache",
        "etag": document.tag,
        "access-control-allow-origin": "*",
    }
    if document.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(document.content, headers=headers)
