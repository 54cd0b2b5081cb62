"""Answers requests with pages: checks the session, its role and the form, and reports errors.

The only place where pages meet HTTP.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.web.operations.deps import Services
from hooktide.web.pages.framework.changed_parts import only_changed
from hooktide.web.pages.framework.compression import compressed
from hooktide.web.pages.framework.csrf import matches
from hooktide.web.pages.framework.fields import read_fields
from hooktide.web.pages.framework.forms import Form, read_form, read_query
from hooktide.web.pages.framework.live import Live, event_stream
from hooktide.web.pages.framework.origin import check_origin, other_session
from hooktide.web.pages.framework.page import Page
from hooktide.web.pages.framework.rendering import render_page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.skin import Skin
from hooktide.web.pages.framework.view import (
    Download,
    Events,
    File,
    Redirect,
    Stream,
    Template,
    View,
)
from hooktide.web.pages.framework.wrong import wrong_of


def page_routes(pages: Iterable[Page], skin: Skin, services: Services, live: Live) -> list[Route]:
    """Return the routes of a skin's pages, and one for all paths below that have none."""
    pages = tuple(pages)
    looked_at = {each.path for each in pages if each.method == "GET"}
    answering = Answering(skin, services, live)
    routes = [
        *(answering.route(each) for each in pages),
        *(
            answering.lead(each.path, each.leads_to)
            for each in pages
            if each.leads_to is not None and each.path not in looked_at
        ),
    ]
    return [*routes, answering.missing(routes)]


MAX_KEPT_BYTES = 256 * 1024
"""Maximum bytes of a form that is kept during a new login."""
Viewer: TypeAlias = Callable[[Request, Session], Awaitable[View]]
"""Answers a request of an authenticated session."""


class Answering:
    """Answers with the pages of a skin."""

    def __init__(self, skin: Skin, services: Services, live: Live) -> None:
        self._skin = skin
        self._services = services
        self._live = live

    def route(self, page: Page) -> Route:
        """Return the route of a page."""
        view, path = partial(self._run, page), self._skin.base + page.path
        return Route(path, self._endpoint(view, page), methods=[page.method])

    def lead(self, path: str, leads_to: str) -> Route:
        """Return the route that redirects a GET of an act's path to the page it belongs to."""

        async def target(request: Request, session: Session) -> View:
            return Redirect(leads_to.format(**request.path_params))

        return Route(self._skin.base + path, self._endpoint(target), methods=["GET"])

    def missing(self, pages: Sequence[Route]) -> Route:
        """Return the route for paths without a page."""

        async def refuse(request: Request, session: Session) -> View:
            raise NotFoundError("page")

        path, methods = f"{self._skin.base}/{{rest:path}}", ["GET", "POST"]
        return _Missing(pages, path, self._endpoint(refuse), methods=methods)

    def _endpoint(
        self, view: Viewer, page: Page | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._answer(view, page, request)

        return endpoint

    async def _answer(self, view: Viewer, page: Page | None, request: Request) -> Response:
        session: Session | None = None
        try:
            entered = await self._skin.enter(request)
            if isinstance(entered, Response):
                return await self._turn_away(entered, page, request)
            session = entered
            shown = await view(request, session)
            response = self._response(shown, session, request)
            if _shows_secret(shown):
                return response
            if isinstance(shown, Template):
                response = only_changed(response, request)
            return await compressed(response, request)
        except HooktideError as error:
            sent = Form() if session or page is None else await self._sent(page, request)
            return self._refuse(error, session, sent, request)

    async def _turn_away(self, to_login: Response, page: Page | None, request: Request) -> Response:
        """Answer a request whose session has ended; a submitted form is kept for later."""
        if page is None or page.back is None:
            return to_login
        query = f"?{request.url.query}" if request.url.query else ""
        path = self._skin.base + page.back.path.format(**request.path_params) + query
        asked = self._skin.ask_login(path, await self._sent(page, request))
        if isinstance(asked, Response):
            return asked
        return self._page(asked, None, None, request)

    async def _sent(self, page: Page, request: Request) -> Form:
        """Return the form of a request without a session; empty if it cannot be kept."""
        if page.method == "GET" or not page.keeps:
            return Form()
        try:
            check_origin(request, self._services.public_url)
            form = await read_form(request, min(page.max_body, MAX_KEPT_BYTES))
        except HooktideError:
            return Form()
        return form

    async def _run(self, page: Page, request: Request, session: Session) -> View:
        if not session.may(page.who):
            raise session.missing_role(page.who)
        query = read_query(request)
        asked = PageRequest(
            services=self._services,
            session=session,
            place=request.url.path,
            params=request.path_params,
            query_string=request.scope["query_string"],
            query=query,
            form=query,
            reads_only=request.method == "HEAD" or _is_prefetch(request),
        )
        if page.method == "GET":
            await asked.show_again()
            return await page.run(asked)
        check_origin(request, self._services.public_url)
        asked.form = await read_form(request, page.max_body)
        try:
            return await self._act(page, asked)
        except HooktideError as error:
            asked.wrong = wrong_of(error)
            about_form = not isinstance(error, NotFoundError) or asked.wrong.is_about(asked.form)
            if page.back is None or not about_form:
                raise
            asked.place = session.base + page.back.path.format(**request.path_params)
            shown = await page.back.run(asked)
            return replace(shown, error=error) if isinstance(shown, Template) else shown

    async def _act(self, page: Page, asked: PageRequest) -> View:
        csrf = asked.session.csrf
        if csrf and not matches(asked.form.raw("csrf"), csrf):
            raise other_session()
        await self._services.limits.change(asked.scope)
        if page.form is None:
            return await page.run(asked)
        return await page.run(asked, read_fields(page.form, asked.form))

    def _refuse(
        self, error: HooktideError, session: Session | None, sent: Form, request: Request
    ) -> Response:
        shown = self._skin.explain(error, session)
        if isinstance(shown, File):
            response = _file(shown, self._skin.headers(session, error))
        else:
            shown = replace(shown, facts={**shown.facts, "sent": sent.without("csrf")})
            response = self._page(shown, session, error, request)
        return _with_wait(response, error)

    def _response(self, view: View, session: Session, request: Request) -> Response:
        headers = self._skin.headers(session, None)
        match view:
            case Template():
                return _with_wait(self._page(view, session, None, request), view.error)
            case Redirect():
                target = (view.base or session.base) + view.address
                target += f"#{view.fragment}" if view.fragment else ""
                response: Response = RedirectResponse(target, 303, headers=dict(headers))
                if view.session is not None:
                    self._skin.keep_session(response, view.session)
                return response
            case Stream():
                return self._live.stream(
                    (self._skin.templates, view.place), view.look, session.is_open, session.watches
                )
            case Events():
                return event_stream(view.events)
            case Download():
                named = {"content-disposition": f'attachment; filename="{view.name}"'}
                return StreamingResponse(
                    view.parts, headers={**headers, **named}, media_type=view.media_type
                )
            case File():
                return _file(view, headers, request.headers.get("if-none-match", ""))

    def _page(
        self,
        shown: Template,
        session: Session | None,
        error: HooktideError | None,
        request: Request,
    ) -> Response:
        skin = self._skin
        language = skin.language(request, session, error)
        words = skin.words(session, error, language)
        frame = session.frame if session is not None else {}
        facts = {"request": None, **frame, **shown.facts}
        html = render_page(skin.templates, shown.name, language, words, **facts)
        return Response(html, shown.status, skin.headers(session, error), "text/html")


def _shows_secret(view: View) -> bool:
    asked = view.facts.get("request") if isinstance(view, Template) else None
    return isinstance(asked, PageRequest) and asked.shows_secret


class _Missing(Route):
    """Matches no path of a page, so that a method that a page does not support is answered 405."""

    def __init__(self, pages: Sequence[Route], *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._pages = pages

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match paths without a page."""
        if any(each.matches(scope)[0] is not Match.NONE for each in self._pages):
            return Match.NONE, {}
        return super().matches(scope)


def _file(view: File, headers: Mapping[str, str], known: str = "") -> Response:
    """Answer with a file; ``known`` are the tags of those that the browser has."""
    headers = {**headers, **view.headers}
    if view.tag:
        headers["etag"] = view.tag
        if view.tag in known:
            return Response(status_code=304, headers={**headers, "content-type": view.media_type})
    return Response(view.content, view.status, headers, view.media_type)


def _is_prefetch(request: Request) -> bool:
    """Whether this is a prefetch: the page may never be seen."""
    sent = request.headers
    purposes = (sent.get("sec-purpose", ""), sent.get("purpose", ""), sent.get("x-moz", ""))
    return any(each.lower().startswith("prefetch") for each in purposes)


def _with_wait(response: Response, error: HooktideError | None) -> Response:
    """Return the Retry-After header, if the error has one."""
    if (wait := getattr(error, "retry_after", None)) is not None:
        response.headers["retry-after"] = str(wait)
    return response
