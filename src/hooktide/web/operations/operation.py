"""An operation of the API, declared once: its handler and its documentation are the same thing.

    @operation("POST", "/v1/accounts", who=MANAGERS, status=201, problems=("account_exists",))
    async def create_account(call: Call, body: AccountIn) -> AccountOut:
        \"\"\"Add an account.\"\"\"

The handler's parameters say what the request brings: ``body`` (a type that msgspec reads, or, for
``toml``, the text of a project file), ``query`` (a struct), and the names in the path. What it
returns is the answer; the docstring is what the OpenAPI document says. ``Documented`` is the
declaration alone, for routes that are answered elsewhere.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_type_hints
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope as AsgiScope

from hooktide.domain.audit_log import Actor, Source, key_name
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.model import ApiKey, KeyScope, Micros, Scope
from hooktide.store.base import Page
from hooktide.web.auth import Authenticator
from hooktide.web.health import JSON
from hooktide.web.http.client_address import address_of
from hooktide.web.operations.deps import Services
from hooktide.web.operations.pagination import id_bounds
from hooktide.web.operations.response_values import to_json
from hooktide.web.reading import (
    MAX_BODY,
    is_empty,
    read_body,
    read_json,
    read_query,
    refuse_body,
)
from hooktide.wire.fields import Listed, PageQuery, PeriodQuery

T = TypeVar("T")

OPERATOR = frozenset({KeyScope.OPERATOR})
MANAGERS = frozenset({KeyScope.OPERATOR, KeyScope.PROJECT})
ANYONE = frozenset(KeyScope)
CUSTOMERS = frozenset({KeyScope.ACCOUNT})

TOML = "application/toml"


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """What the OpenAPI document says of one method of one path.

    ``body`` and the values of ``answers`` (by status) are types that msgspec knows, or tuples of
    them for "any of these"; None: no body. ``problems`` are codes of the table. ``limited``: it is
    answered 429 when the plan's hourly limit is reached. ``headers`` are request headers it
    understands. ``max_body``: how many bytes the body may have.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str = ""
    who: frozenset[KeyScope] = ANYONE
    body: Any = None
    body_kind: str = JSON
    body_required: bool = True
    max_body: int = MAX_BODY
    query: type[msgspec.Struct] = NoQuery
    answers: dict[int, Any] = field(default_factory=dict)
    answer_kind: str = JSON
    problems: tuple[str, ...] = ()
    limited: bool = False
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request that came through: whose it is, and what the operation works with."""

    services: Services
    key: ApiKey
    scope: Scope
    place: Any
    actor: Actor

    @property
    def now(self) -> Micros:
        """The time."""
        return self.services.clock()

    def before(self, query: PageQuery) -> int | None:
        """Return the id that the wanted page begins below."""
        return self.services.cursors.read(self.place, query.cursor)

    def bounds(self, query: PeriodQuery) -> tuple[int | None, int | None]:
        """Return the ids between which the items of the wanted page lie."""
        return id_bounds(query, self.before(query))

    def listed(self, page: Page, items: list[T]) -> Listed[T]:
        """Make the answer of a page, whose items are shown as ``items``."""
        return Listed(items, self.services.cursors.make(self.place, page.next_before))


class Operation:
    """A documented operation with its handler: callable, and able to be a route."""

    def __init__(self, document: Documented, run: Callable[..., Awaitable[Any]]) -> None:
        self.document = document
        self.run = run
        self._decoder = msgspec.json.Decoder(document.body or dict)
        self._integers = _named(document.query, msgspec.inspect.IntType)
        self._booleans = _named(document.query, msgspec.inspect.BoolType)
        self._takes_query = "query" in inspect.signature(run).parameters
        self._status = next(iter(document.answers))
        self._others = {kind: status for status, kind in document.answers.items() if kind}

    def route(self, services: Services, auth: Authenticator) -> Route:
        """Return the route that answers this operation."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, services, auth)

        document = self.document
        return RawRoute(document.path, endpoint, methods=[document.method], name=document.name)

    async def _answer(self, request: Request, services: Services, auth: Authenticator) -> Response:
        credential = await auth.authenticate(request.scope)
        if credential.key.scope not in self.document.who:
            raise RefusedError(
                "forbidden", _who_may(credential.key.scope, self.document.who), status=403
            )
        if self.document.method != "GET":
            await services.limits.change(credential.scope)
        query = read_query(
            request.scope["query_string"], self.document.query, self._integers, self._booleans
        )
        arguments: dict[str, Any] = dict(request.path_params)
        if self._takes_query:
            arguments["query"] = query
        if self.document.body is not None:
            arguments["body"] = await self._body(request)
        elif not is_empty(request):
            await refuse_body(request)
        place = _place(self.document, credential.scope, request.path_params, query)
        actor = key_actor(credential.key, request)
        call = Call(services, credential.key, credential.scope, place, actor)
        return self._response(await self.run(call, **arguments))

    async def _body(self, request: Request) -> Any:
        if not self.document.body_required and is_empty(request):
            return self._decoder.decode(b"{}")
        body = await read_body(request, self.document.body_kind, self.document.max_body)
        if self.document.body_kind == JSON:
            return await read_json(body, self._decoder)
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise InvalidError("invalid_project", f"the file is not UTF-8: {error}") from None

    def _response(self, answer: Any) -> Response:
        if answer is None:
            return Response(status_code=self._status)
        if isinstance(answer, Response):
            return answer
        body = to_json(answer)
        status = self._others.get(type(answer), self._status)
        return Response(body, status, headers=ANSWER_HEADERS, media_type=JSON)


def key_actor(key: ApiKey, request: Request) -> Actor:
    """Return the audit log's actor for a request's key."""
    webhooks = request.url.path.startswith("/webhooks")
    source = Source.WEBHOOKS if webhooks else Source.API
    return Actor(name=key_name(key), source=source, address=address_of(request))


class RawRoute(Route):
    """A route whose parameters may hold an escaped slash, as ``/v1/accounts/acme%2Feu`` does.

    Servers unescape a path as a whole, after which that slash looks like any other. So the path as
    it was sent (``raw_path``) is matched where it has one, and each parameter is unescaped alone.
    """

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        """Match a request's method and path."""
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" not in raw.lower():
            return super().matches(scope)
        match, found = super().matches({**scope, "path": raw.decode("latin-1")})
        escaped: dict[str, str] = found.get("path_params", {})
        return match, {**found, "path_params": {k: unquote(v) for k, v in escaped.items()}}


ANSWER_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def _place(
    document: Documented, scope: Scope, path: dict[str, Any], query: msgspec.Struct
) -> list[Any]:
    """Return all that a list depends on."""
    filters = msgspec.to_builtins(query)
    filters.pop("cursor", None)
    filters.pop("limit", None)
    return [document.name, scope.project_id, scope.account_id, path, filters]


def _who_may(scope: KeyScope, who: frozenset[KeyScope]) -> str:
    others = " or ".join(f"{each.value}'s" for each in KeyScope if each in who)
    return f"a key of scope {scope.value} does not open this; use an {others} key"


def _named(query: type[msgspec.Struct], wanted: type[msgspec.inspect.Type]) -> frozenset[str]:
    """Return the names of the parameters of a type."""
    kind = msgspec.inspect.type_info(query)
    assert isinstance(kind, msgspec.inspect.StructType)  # noqa: S101  # a query is a struct
    return frozenset(each.encode_name for each in kind.fields if _is(each.type, wanted))


def _is(kind: msgspec.inspect.Type, wanted: type[msgspec.inspect.Type]) -> bool:
    return isinstance(kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind, wanted)


def operation(  # noqa: PLR0913  # what an operation may have to say of itself
    method: str,
    path: str,
    *,
    who: frozenset[KeyScope],
    status: int = 200,
    problems: tuple[str, ...] = (),
    limited: bool = False,
    body_kind: str = JSON,
    max_body: int = MAX_BODY,
    answer: Any = None,
    answer_kind: str = JSON,
    also: Mapping[int, type] = MappingProxyType({}),
) -> Callable[[Callable[..., Awaitable[Any]]], Operation]:
    """Declare the operation that a handler is; see the module's docstring.

    ``answer`` and ``answer_kind``: what the document says of the answer where the handler returns
    a whole ``Response``. ``also`` are other statuses it may be answered with, by the type that the
    handler returns then.
    """

    def declare(run: Callable[..., Awaitable[Any]]) -> Operation:
        hints = get_type_hints(run, include_extras=True)
        summary, _, description = (inspect.getdoc(run) or "").partition("\n")
        body, returned = hints.get("body"), answer or hints["return"]
        document = Documented(
            method=method,
            path=path,
            name=run.__name__,
            tag=run.__module__.rpartition(".")[2].replace("_", " "),
            summary=summary.removesuffix("."),
            description=" ".join(description.split()),
            who=who,
            body=body,
            body_kind=body_kind,
            max_body=max_body,
            body_required=_is_required(body),
            query=hints.get("query", NoQuery),
            answers={status: None if also or returned is type(None) else returned, **also},
            answer_kind=answer_kind,
            problems=problems if method == "GET" else (*problems, *_too_fast(who)),
            limited=limited,
        )
        return Operation(document, run)

    return declare


def _too_fast(who: frozenset[KeyScope]) -> tuple[str, ...]:
    return ("too_many_changes",) if KeyScope.ACCOUNT in who else ()


def _is_required(body: Any) -> bool:
    """Whether a body is required: not if all of its members are optional."""
    if not isinstance(body, type) or not issubclass(body, msgspec.Struct):
        return True
    return bool(get_args(body)) or any(each.required for each in msgspec.structs.fields(body))
