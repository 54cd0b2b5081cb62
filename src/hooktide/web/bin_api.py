"""``/v1/bins`` for any key: make a bin, script its answers, read what it was sent."""

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.actions.bins import BinChange, Bins, NewBin, Step, read_script
from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.ids import read, show
from hooktide.domain.model import Bin, BinRequest
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant
from hooktide.web.auth import Authenticator, Credential
from hooktide.web.bin_answers import RequestOut, raw_response, request_id, request_shown
from hooktide.web.operation import ANSWER_HEADERS, Documented, NoQuery
from hooktide.web.pages import Listed, PageQuery
from hooktide.web.reading import is_empty, read_body, read_json, read_query


class BinOut(msgspec.Struct):
    """A request bin. Whoever knows `url` can send to it, and look at `page_url`."""

    id: str
    url: str
    page_url: str
    script: list[Step]
    created_at: Instant
    expires_at: Instant


class BinApi:
    """The operations on bins; a bin belongs to the scope of the key that made it."""

    def __init__(self, bins: Bins, auth: Authenticator, public_url: str) -> None:
        self._bins = bins
        self._auth = auth
        self._public_url = public_url

    def routes(self) -> list[Route]:
        """Return the routes that ``DOCUMENTS`` describes."""
        one = "/v1/bins/{id}"
        return [
            Route("/v1/bins", self.add, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.change, methods=["PATCH"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/requests", self.requests, methods=["GET"]),
            Route(f"{one}/requests", self.clear, methods=["DELETE"]),
            Route(f"{one}/requests/{{request_id}}", self.request, methods=["GET"]),
            Route(f"{one}/requests/{{request_id}}/raw", self.raw, methods=["GET"]),
        ]

    async def add(self, request: Request) -> Response:
        """``POST /v1/bins``."""
        credential = await self._credential(request)
        wanted = await _read(request, NewBin)
        return _json(self._shown(await self._bins.add(credential.scope, wanted)), 201)

    async def get(self, request: Request) -> Response:
        """``GET /v1/bins/{id}``."""
        return _json(self._shown(await self._own(request)))

    async def change(self, request: Request) -> Response:
        """``PATCH /v1/bins/{id}``."""
        credential = await self._credential(request)
        change = await _read(request, BinChange)
        changed = await self._bins.change_script(
            credential.scope, request.path_params["id"], change
        )
        return _json(self._shown(changed))

    async def remove(self, request: Request) -> Response:
        """``DELETE /v1/bins/{id}``."""
        await self._bins.remove(await self._own(request))
        return Response(status_code=204)

    async def requests(self, request: Request) -> Response:
        """``GET /v1/bins/{id}/requests``."""
        credential = await self._auth.authenticate(request.scope)
        limit, before = _paging(request)
        found = await self._bins.find(credential.scope, request.path_params["id"])
        page = await self._bins.requests(found, before, limit)
        items = [request_shown(kept) for kept in page.items]
        cursor = None if page.next_before is None else show("req", page.next_before)
        return _json(Listed(items, cursor))

    async def request(self, request: Request) -> Response:
        """``GET /v1/bins/{id}/requests/{request_id}``."""
        return _json(request_shown(await self._kept(request)))

    async def raw(self, request: Request) -> Response:
        """``GET /v1/bins/{id}/requests/{request_id}/raw``."""
        return raw_response(await self._kept(request))

    async def clear(self, request: Request) -> Response:
        """``DELETE /v1/bins/{id}/requests``."""
        await self._bins.clear(await self._own(request))
        return Response(status_code=204)

    async def _credential(self, request: Request) -> Credential:
        credential = await self._auth.authenticate(request.scope)
        read_query(request.scope["query_string"], NoQuery, ())
        return credential

    async def _own(self, request: Request) -> Bin:
        credential = await self._credential(request)
        return await self._bins.find(credential.scope, request.path_params["id"])

    async def _kept(self, request: Request) -> BinRequest:
        found = await self._own(request)
        return await self._bins.request(found, request_id(request.path_params["request_id"]))

    def _shown(self, found: Bin) -> BinOut:
        url = f"{self._public_url}/bin/{found.token}"
        return BinOut(
            id=f"bin_{found.token}",
            url=url,
            page_url=f"{url}/page",
            script=read_script(found),
            created_at=show_time(found.created_at),
            expires_at=show_time(found.expires_at),
        )


async def _read(request: Request, kind: type[Any]) -> Any:
    decode = msgspec.json.Decoder(kind).decode
    body = b"{}" if is_empty(request) else await read_body(request, "application/json")
    return read_json(body, decode)


def _paging(request: Request) -> tuple[int, int | None]:
    query = read_query(request.scope["query_string"], PageQuery, {"limit"})
    if query.cursor is None:
        return query.limit, None
    try:
        return query.limit, read("req", query.cursor)
    except NotFoundError:
        raise InvalidError(
            "invalid_cursor", "use next_cursor of the page before", pointer="/cursor"
        ) from None


def _json(value: Any, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status, headers=ANSWER_HEADERS, media_type="application/json")


Raw = Annotated[str, msgspec.Meta(description="The body's bytes, whatever they are.")]


def _document(method: str, path: str, name: str, summary: str, **more: Any) -> Documented:
    return Documented(
        method=method, path=f"/v1/bins{path}", name=name, tag="bins", summary=summary, **more
    )


DOCUMENTS = (
    _document(
        "POST",
        "",
        "add_bin",
        "Make a request bin",
        description="Its URL keeps whatever it is sent and gives the script's answers in turn; "
        "the last one repeats, and without a script it answers 200.",
        body=NewBin,
        body_required=False,
        answers={201: BinOut},
        problems=("too_many_bins",),
    ),
    _document("GET", "/{id}", "get_bin", "Get a bin", answers={200: BinOut}),
    _document(
        "PATCH",
        "/{id}",
        "change_bin",
        "Give a bin another script, from its first answer on",
        body=BinChange,
        answers={200: BinOut},
    ),
    _document(
        "GET",
        "/{id}/requests",
        "list_bin_requests",
        "List what a bin was sent, newest first, each with the verdict of its signature",
        query=PageQuery,
        answers={200: Listed[RequestOut]},
    ),
    _document(
        "DELETE",
        "/{id}/requests",
        "clear_bin",
        "Forget what a bin was sent",
        answers={204: None},
    ),
    _document(
        "GET",
        "/{id}/requests/{request_id}",
        "get_bin_request",
        "Get one request that a bin was sent",
        answers={200: RequestOut},
    ),
    _document(
        "GET",
        "/{id}/requests/{request_id}/raw",
        "get_bin_request_body",
        "Get a request's body as a file, up to its first 64 KB",
        answers={200: Raw},
        answer_kind="text/plain; charset=utf-8",
    ),
    _document(
        "DELETE",
        "/{id}",
        "remove_bin",
        "Remove a bin and its requests",
        answers={204: None},
    ),
)
"""What the OpenAPI document says of these routes."""
