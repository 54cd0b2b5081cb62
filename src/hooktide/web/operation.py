"""An operation of the API, declared once: its handler and its documentation are the same thing.

    @operation("POST", "/v1/accounts", who=MANAGERS, status=201, problems=("account_exists",))
    async def add_account(call: Call, body: AccountIn) -> AccountOut:
        \"\"\"Add an account.\"\"\"

The handler's parameters say what the request brings: ``body`` (a type that msgspec reads, or, for
``toml``, the text of a project file), ``query`` (a struct), and the names in the path. What it
returns is the answer; the docstring is what the OpenAPI document says. ``Documented`` is the
declaration alone, for routes that are answered elsewhere.

Whatever changes something writes a line into the log of changes once it has (``web.changing``).
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.actions.changes import key_name
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.model import ApiKey, KeyScope, Micros, Scope
from hooktide.store.base import Page
from hooktide.web.auth import Authenticator
from hooktide.web.changing import changed_nothing, detail_of, subject_of, what_of
from hooktide.web.deps import Services
from hooktide.web.pages import Listed, PageQuery
from hooktide.web.reading import is_empty, read_body, read_json, read_query, refuse_body

T = TypeVar("T")

OPERATOR = frozenset({KeyScope.OPERATOR})
MANAGERS = frozenset({KeyScope.OPERATOR, KeyScope.PROJECT})
ANYONE = frozenset(KeyScope)
CUSTOMERS = frozenset({KeyScope.ACCOUNT})

JSON = "application/json"
TOML = "application/toml"


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """What the OpenAPI document says of one method of one path.

    ``body`` and the values of ``answers`` (by status) are types that msgspec knows, or tuples of
    them for "any of these"; None: no body. ``problems`` are codes of the table. ``limited``: it is
    answered 429 when the plan's hour is full. ``headers`` are request headers it understands.
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

    @property
    def now(self) -> Micros:
        """The time."""
        return self.services.clock()

    def before(self, query: PageQuery) -> int | None:
        """Return the id that the wanted page begins below."""
        return self.services.cursors.read(self.place, query.cursor)

    def listed(self, page: Page, items: list[T]) -> Listed[T]:
        """Make the answer of a page, whose items are shown as ``items``."""
        return Listed(items, self.services.cursors.make(self.place, page.next_before))


class Operation:
    """A documented operation with its handler: callable, and able to be a route."""

    def __init__(self, document: Documented, run: Callable[..., Awaitable[Any]]) -> None:
        self.document = document
        self.run = run
        self._decode = msgspec.json.Decoder(document.body or dict).decode
        self._integers = _integers(document.query)
        self._takes_query = "query" in inspect.signature(run).parameters
        [(self._status, _)] = document.answers.items()
        self._what = what_of(document.method, document.name)

    def route(self, services: Services, auth: Authenticator) -> Route:
        """Return the route that answers this operation."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, services, auth)

        document = self.document
        return Route(document.path, endpoint, methods=[document.method], name=document.name)

    async def _answer(self, request: Request, services: Services, auth: Authenticator) -> Response:
        credential = await auth.authenticate(request.scope)
        if credential.key.scope not in self.document.who:
            raise RefusedError(
                "forbidden", _who_may(credential.key.scope, self.document.who), status=403
            )
        query = read_query(request.scope["query_string"], self.document.query, self._integers)
        arguments: dict[str, Any] = dict(request.path_params)
        if self._takes_query:
            arguments["query"] = query
        if self.document.body is not None:
            arguments["body"] = await self._body(request)
        elif not is_empty(request):
            await refuse_body(request)
        place = _place(self.document, credential.scope, request.path_params, query)
        call = Call(services, credential.key, credential.scope, place)
        if not self._what:
            return self._response(await self.run(call, **arguments))
        return self._response(await self._change(call, request.path_params, query, arguments))

    async def _change(
        self, call: Call, places: dict[str, Any], query: Any, arguments: dict[str, Any]
    ) -> Any:
        """Run the operation, and write what it changed into the log of changes."""
        services, scope, document = call.services, call.scope, self.document
        about = (services, scope, document.path, places, query)
        removes = document.method == "DELETE"
        subject = await subject_of(*about, None) if removes else None
        answer = await self.run(call, **arguments)
        if changed_nothing(answer):
            return answer
        if subject is None:  # what was removed is looked at before, what was made after
            subject = await subject_of(*about, answer)
        detail = detail_of(document.method, arguments.get("body"), answer)
        who = key_name(call.key)
        await services.chronicle.write(who, self._what, subject.text, detail, subject.scope)
        return answer

    async def _body(self, request: Request) -> Any:
        if not self.document.body_required and is_empty(request):
            return self._decode(b"{}")
        body = await read_body(request, self.document.body_kind)
        if self.document.body_kind == JSON:
            return read_json(body, self._decode)
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise InvalidError("invalid_project", f"the file is not UTF-8: {error}") from None

    def _response(self, answer: Any) -> Response:
        if answer is None:
            return Response(status_code=self._status)
        body = msgspec.json.encode(answer)
        return Response(body, self._status, headers=ANSWER_HEADERS, media_type=JSON)


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


def _integers(query: type[msgspec.Struct]) -> frozenset[str]:
    kind = msgspec.inspect.type_info(query)
    assert isinstance(kind, msgspec.inspect.StructType)  # noqa: S101  # a query is a struct
    return frozenset(each.encode_name for each in kind.fields if _is_integer(each.type))


def _is_integer(kind: msgspec.inspect.Type) -> bool:
    inner = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
    return isinstance(inner, msgspec.inspect.IntType)


def operation(
    method: str,
    path: str,
    *,
    who: frozenset[KeyScope],
    status: int = 200,
    problems: tuple[str, ...] = (),
    limited: bool = False,
    body_kind: str = JSON,
) -> Callable[[Callable[..., Awaitable[Any]]], Operation]:
    """Declare the operation that a handler is; see the module's docstring."""

    def declare(run: Callable[..., Awaitable[Any]]) -> Operation:
        hints = get_type_hints(run, include_extras=True)
        summary, _, description = (inspect.getdoc(run) or "").partition("\n")
        body, answer = hints.get("body"), hints["return"]
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
            body_required=_is_required(body),
            query=hints.get("query", NoQuery),
            answers={status: None if answer is type(None) else answer},
            problems=problems,
            limited=limited,
        )
        return Operation(document, run)

    return declare


def _is_required(body: Any) -> bool:
    """Whether a body has to be there: not where every member may be absent, and one may not be."""
    if not isinstance(body, type) or not issubclass(body, msgspec.Struct):
        return True
    return bool(get_args(body)) or any(each.required for each in msgspec.structs.fields(body))
