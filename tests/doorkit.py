"""What the most expensive requests cost, at each door: CPU time, and how long the loop is held.

A ``Request`` is made for a share of the door's limit, so that the cost at the limit can be compared
with that at a quarter of it. Time is CPU time, which a busy machine does not stretch.
"""

import asyncio
import gc
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote_plus

import msgspec
from dashkit import users_of
from webkit import Answer, Client, Site, running

from hooktide.app.processes.single import settle
from hooktide.domain.audit_log import SERVER
from hooktide.domain.model import Role, Scope
from hooktide.web.pages.dashboard.session import csrf_of
from hooktide.web.reading import MAX_BODY

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TOML = "application/toml"
KILOBYTE = 1024
HEAD = 60 * KILOBYTE
"""What fits into a request's head, which may have 64 KB."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request; ``key``: an API key, or empty."""

    method: str = "POST"
    path: str
    body: bytes = b""
    kind: str = JSON
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A server with one of everything, and what opens each of its doors."""

    site: Site
    project: str
    account: str
    portal: str
    cookie: str
    bin: str
    bin_id: str
    endpoint: str
    ids: Mapping[str, str]

    @property
    def operator(self) -> str:
        return self.site.operator.key

    async def ask(self, request: Request) -> Answer:
        """Send a request."""
        headers = dict(request.headers)
        if request.body:
            headers |= {"content-type": request.kind, "content-length": str(len(request.body))}
        client = Client(self.site.app, request.key)
        body = request.body
        chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]
        return await client.call(request.method, request.path, chunks=chunks, headers=headers)


Maker: TypeAlias = Callable[[Place, float], Request]


@dataclass(frozen=True)
class Door:
    """A door with a worst input: ``make`` builds it for a share of the limit."""

    name: str
    make: Maker


DOORS: list[Door] = []


def door(name: str) -> Callable[[Maker], Maker]:
    """Add a door to the list."""

    def add(make: Maker) -> Maker:
        DOORS.append(Door(name, make))
        return make

    return add


# Measuring


@dataclass
class Cost:
    """CPU seconds of a request, and of the longest turn of the event loop; and its answer."""

    cpu: float
    held: float
    status: int
    code: str


class _Turns:
    longest = 0.0


@contextmanager
def watching() -> Iterator[_Turns]:
    """Note the CPU time of each callback of the event loop."""
    turns = _Turns()
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        turns.longest = max(turns.longest, time.thread_time() - began)

    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield turns
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]


async def measure(place: Place, request: Request) -> Cost:
    """Send a request and return what it cost, in all threads of the process."""
    gc.collect(0)  # else it is paid for what came before, at times
    with watching() as turns:
        began = time.process_time()
        answer = await asyncio.create_task(place.ask(request))
        cpu = time.process_time() - began
    kind = answer.headers.get("content-type", "")
    code = answer.code if kind == "application/problem+json" else ""
    return Cost(cpu, turns.longest, answer.status, code)


def least(costs: Sequence[Cost]) -> Cost:
    """Return the least of what a request cost each time: what other programs do only adds to it."""
    held = min(each.held for each in costs)
    return replace(min(costs, key=lambda each: each.cpu), held=held)


@dataclass
class Compared:
    """What a door's worst input costs at its limit, and at a quarter of it (None: not measured)."""

    whole: Cost
    quarter: Cost | None = None

    @property
    def ratio(self) -> float:
        """How much more each doubling of the input costs; 0: not measured.

        It is the root of what four times the input costs: two doublings tell a cost that grows with
        the square of the input (4) from one that other programs make unsteady (2).
        """
        return 0.0 if self.quarter is None else math.sqrt(self.whole.cpu / self.quarter.cpu)


async def compare(
    place: Place, door: Door, *, short: float, rounds: int, enough: float
) -> Compared:
    """Compare what a door's worst input costs with what a quarter of it costs.

    They are sent in turn, for a busy machine to slow both. What takes less than ``short`` seconds
    is not compared: there what always has to be done says more than the input. After
    ``rounds`` rounds, or once the ratio is at most ``enough``, that is it.
    """
    whole, quarter = door.make(place, 1.0), door.make(place, 0.25)
    wholes, quarters = [await measure(place, whole)], list[Cost]()
    found = Compared(wholes[0])
    if found.whole.cpu < short:
        return found
    for _ in range(rounds):
        quarters.append(await measure(place, quarter))
        found = Compared(least(wholes), least(quarters))
        if found.ratio <= enough:
            break
        wholes.append(await measure(place, whole))
        found = Compared(least(wholes), least(quarters))
        if found.whole.cpu < short:
            return Compared(found.whole)
    return found


PROJECT = """
name = "doors"
schema_policy = "reject"
[dialect.envelope]
id = "{event.id}"
first = "{payload}"
[plans.basic]
endpoints = 1000000
[event_types."invoice.paid"]
[event_types."invoice.made"]
schema = '''{"type": ["array", "object"], "items": {"type": ["integer", "array", "object"]}}'''
[event_types."invoice.told"]
[event_types."invoice.told".message]
text = "{payload.a} {payload.b}"
"""


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Place]:
    """Run a server with one of everything."""
    async with running(folder) as site:
        (await site.operator.apply("doors", PROJECT)).ok()
        given = {"project": "doors", "reference": "acme"}
        (await site.operator.post("/v1/accounts", given)).ok(201)
        endpoint = (await site.endpoint())["id"]
        key = {"scope": "account", "account": "acme", "name": "a"}
        account = (await site.operator.post("/v1/keys", key)).ok(201)["key"]
        key = {"scope": "project", "project": "doors", "name": "p"}
        project = (await site.operator.post("/v1/keys", key)).ok(201)["key"]
        link = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)["url"]
        made = (await site.operator.post("/v1/bins", {})).ok(201)
        user = await users_of(site).create(SERVER, Scope(), "zoë", Role.OWNER, None)
        cookie, _ = await users_of(site).begin(user)
        ids = await _deliveries(site)
        for each in (endpoint, ids["chat"]):  # nothing is sent while doors are measured
            (await site.operator.post(f"/v1/endpoints/{each}/disable")).ok()
        settle()  # as a server does
        yield Place(
            site=site,
            project=project,
            account=account,
            portal="/portal/" + link.rpartition("/")[2],
            cookie=cookie,
            bin="/bin/" + made["url"].rpartition("/")[2],
            bin_id=made["id"],
            endpoint=endpoint,
            ids=ids,
        )


async def _deliveries(site: Site) -> dict[str, str]:
    """Publish what is expensive to show; return the deliveries' ids."""
    chat = await site.endpoint(url="http://127.0.0.1:65000/services/T0/B0/x", kind="slack")
    shown = {"deep": b"[" * 63 + b"0," * 130_000 + b"0" + b"]" * 63, "wide": wide(262_000)}
    found = {"chat": chat["id"]}
    for name, payload in shown.items():
        body = b'{"account":"acme","type":"invoice.paid","payload":%b}' % payload
        event = (await site.operator.call("POST", "/v1/events", body=body)).ok(202)["id"]
        listed = (await site.operator.get(f"/v1/deliveries?event={event}")).ok()["items"]
        for each in listed:
            found[f"{name}-{'chat' if each['endpoint'] == chat['id'] else 'hook'}"] = each["id"]
        found[f"{name}-event"] = event
    return found


# Inputs


def wide(size: int) -> bytes:
    """Return an object of so many bytes with as many members as go into it."""
    members = [b'"%05x":0' % number for number in range(size // 10)]
    return b"{%b}" % b",".join(members)


def zeros(size: int) -> bytes:
    """Return an array of so many bytes."""
    return b"[%b0]" % (b"0," * (size // 2 - 2))


def form(*pairs: tuple[str, str]) -> bytes:
    """Write a form as a browser does."""
    return "&".join(f"{name}={quote_plus(text)}" for name, text in pairs).encode()


def _event(payload: bytes, kind: str = "invoice.paid", more: bytes = b"") -> bytes:
    return b'{"account":"acme","type":"%b","payload":%b%b}' % (kind.encode(), payload, more)


PAYLOADS: dict[str, Callable[[int], bytes]] = {
    "zeros": zeros,
    "members": wide,
    "objects": lambda size: b"[%b{}]" % (b"{}," * (size // 3 - 2)),
    "quotes": lambda size: b'"%b"' % (b'\\"' * (size // 2 - 2)),
    "escapes": lambda size: b'"%b"' % (b"\\u0041" * (size // 6 - 2)),
    "strings": lambda size: b'[%b""]' % (b'"",' * (size // 3 - 2)),
    "digits": lambda size: b"[%b0.1]" % (b"0.123456789012345678," * (size // 21 - 2)),
    "nested": lambda size: b"[%b0]" % ((b"[" * 60 + b"]" * 60 + b",") * (size // 121 - 2)),
}

for _name, _payload in PAYLOADS.items():
    for _kind in ("invoice.paid", "invoice.made", "invoice.told"):

        @door(f"publish {_kind} {_name}")
        def _publish(
            place: Place,
            share: float,
            payload: Callable[[int], bytes] = _payload,
            kind: str = _kind,
        ) -> Request:
            body = _event(payload(int(262_000 * share)), kind)
            return Request(path="/v1/events", key=place.project, body=body)


@door("publish: idempotency key in the body, too long")
def _key_in_body(place: Place, share: float) -> Request:
    text = b"k" * int(320_000 * share)
    body = _event(b"0", more=b',"idempotency_key":"%b"' % text)
    return Request(path="/v1/events", key=place.project, body=body)


@door("publish: transition of quotes")
def _quotes(place: Place, share: float) -> Request:
    text = b'\\"' * int(160_000 * share)
    body = _event(b"0", more=b',"transition":"%b"' % text)
    return Request(path="/v1/events", key=place.project, body=body)


@door("publish: unknown members")
def _unknown(place: Place, share: float) -> Request:
    body = b'{"x":%b}' % zeros(int(320_000 * share))
    return Request(path="/v1/events", key=place.project, body=body)


@door("publish: many unknown members twice")
def _twice(place: Place, share: float) -> Request:
    more = b',"payload":0' * int(25_000 * share)
    return Request(path="/v1/events", key=place.project, body=_event(b"0", more=more))


@door("publish: brackets")
def _brackets(place: Place, share: float) -> Request:
    return Request(path="/v1/events", key=place.project, body=b"[" * int(10_400_000 * share))


@door("publish: idempotency key in the header")
def _key_in_header(place: Place, share: float) -> Request:
    headers = {"idempotency-key": "k" * int(HEAD * share)}
    return Request(path="/v1/events", key=place.project, body=_event(b"0"), headers=headers)


def _batch(place: Place, item: bytes, count: int) -> Request:
    body = b"[" + b",".join([item] * count) + b"]"
    assert len(body) <= 10 * KILOBYTE * KILOBYTE
    return Request(path="/v1/events", key=place.project, body=body)


for _name in ("zeros", "quotes", "nested"):
    _payload = PAYLOADS[_name]

    @door(f"batch of 1,000 {_name}")
    def _batched(place: Place, share: float, payload: Callable[[int], bytes] = _payload) -> Request:
        return _batch(place, _event(payload(10_000)), int(1000 * share))

    @door(f"batch of 39 {_name}")
    def _few(place: Place, share: float, payload: Callable[[int], bytes] = _payload) -> Request:
        return _batch(place, _event(payload(262_000)), int(38 * share))


@door("batch of unknown types")
def _types(place: Place, share: float) -> Request:
    return _batch(place, _event(b"0", "invoice." + "paid" * 30), int(1000 * share))


@door("batch of long unknown types")
def _long_types(place: Place, share: float) -> Request:
    return _batch(place, _event(b"0", "invoice.paid" * 850), int(1000 * share))


@door("batch of payloads that break a schema")
def _broken(place: Place, share: float) -> Request:
    return _batch(place, _event(b"[%bnull]" % (b"null," * 2000), "invoice.made"), int(1000 * share))


@door("batch of transitions of quotes")
def _batch_quotes(place: Place, share: float) -> Request:
    more = b',"transition":"%b"' % (b'\\"' * 5_000)
    return _batch(place, _event(b"0", more=more), int(1000 * share))


@door("batch of unknown accounts")
def _accounts(place: Place, share: float) -> Request:
    return _batch(
        place, b'{"account":"%b","type":"a","payload":0}' % (b"x" * 10_000), int(1000 * share)
    )


@door("batch that is too long")
def _too_long(place: Place, share: float) -> Request:
    return Request(path="/v1/events", key=place.project, body=zeros(int(10_400_000 * share)))


# The API's other doors: bodies of JSON

MEGABYTE = KILOBYTE * KILOBYTE
LARGE = ("/v1/event-types", "/v1/bins")
SMALL = 0.95 * MAX_BODY / MEGABYTE
"""What fits where a body is no larger than most, as a share of what fits where it may be large."""


def _members(share: float) -> bytes:
    return wide(int(MEGABYTE * share) - 20)


def _nested(share: float) -> bytes:
    return b'{"headers":%b}' % (b"[" * int(500_000 * share))


def _empty_objects(share: float) -> bytes:
    return b'{"headers":[%b{}]}' % (b"{}," * int(340_000 * share))


def _many_headers(share: float) -> bytes:
    return b'{"url":"https://a.example/","event_types":["*"],"headers":{%b"Z":"1"}}' % b"".join(
        b'"a%06x":"0",' % number for number in range(int(80_000 * share))
    )


def _many_types(share: float) -> bytes:
    types = b",".join(b'"x%d.y.z"' % number for number in range(int(80_000 * share)))
    return b'{"url":"https://a.example/","event_types":[%b]}' % types


def _long_url(share: float) -> bytes:
    url = b"https://" + b"a." * int(500_000 * share)
    return b'{"url":"%b","event_types":["*"]}' % url


BODIES: dict[str, Callable[[float], bytes]] = {
    "members": _members,
    "nested": _nested,
    "empty objects": _empty_objects,
    "headers": _many_headers,
    "types": _many_types,
    "url": _long_url,
}

for _name, _body in BODIES.items():
    for _method, _path, _who in (
        ("POST", "/webhooks", "account"),
        ("PATCH", "/webhooks/{endpoint}", "account"),
        ("POST", "/v1/endpoints", "account"),
        ("PATCH", "/v1/endpoints/{endpoint}", "account"),
        ("POST", "/v1/accounts", "operator"),
        ("POST", "/v1/keys", "operator"),
        ("PUT", "/v1/event-types/a.b", "project"),
        ("POST", "/v1/bins", "account"),
        ("PATCH", "/v1/bins/{bin_id}", "operator"),
        ("POST", "/v1/endpoints/{endpoint}/replays", "account"),
        ("POST", "/v1/endpoints/{endpoint}/test", "account"),
        ("POST", "/v1/accounts/acme/portal-links", "operator"),
    ):

        @door(f"{_method} {_path} {_name}")
        def _json_body(
            place: Place,
            share: float,
            body: Callable[[float], bytes] = _body,
            method: str = _method,
            path: str = _path,
            who: str = _who,
        ) -> Request:
            where = path.format(endpoint=place.endpoint, bin_id=place.bin_id)
            given = body(share * (0.95 if path.startswith(LARGE) else SMALL))
            return Request(method=method, path=where, key=getattr(place, who), body=given)


@door("PUT /v1/event-types: example")
def _example(place: Place, share: float) -> Request:
    body = b'{"example":%b}' % wide(int(262_000 * share))
    return Request(method="PUT", path="/v1/event-types/a.c", key=place.project, body=body)


@door("PUT /v1/event-types: schema")
def _schema(place: Place, share: float) -> Request:
    properties = b",".join(
        b'"%05x":{"type":"string"}' % each for each in range(int(30_000 * share))
    )
    body = b'{"schema":{"properties":{%b}}}' % properties
    return Request(method="PUT", path="/v1/event-types/a.c", key=place.project, body=body)


@door("PATCH /v1/bins: a hundred answers")
def _script(place: Place, share: float) -> Request:
    steps = [{"status": 200, "body": "é" * 4096} for _ in range(int(100 * share))]
    body = msgspec.json.encode({"script": steps})
    return Request(method="PATCH", path=f"/v1/bins/{place.bin_id}", key=place.operator, body=body)


# Lists with their filters and cursors

for _path in ("events", "deliveries", "endpoints", "accounts", "keys", "audit-log"):

    @door(f"GET /v1/{_path}: a long cursor")
    def _cursor(place: Place, share: float, path: str = _path) -> Request:
        text = "A" * (int(HEAD * share) // 4 * 4)
        return Request(method="GET", path=f"/v1/{path}?cursor={text}", key=place.operator)

    @door(f"GET /v1/{_path}: a long query")
    def _query(place: Place, share: float, path: str = _path) -> Request:
        text = "&".join(["%41%42=%43"] * (int(HEAD * share) // 11))
        return Request(method="GET", path=f"/v1/{path}?{text}", key=place.operator)


@door("GET /v1/events: a long filter")
def _filter(place: Place, share: float) -> Request:
    text = "%41" * (int(HEAD * share) // 3)
    return Request(method="GET", path=f"/v1/events?type={text}", key=place.operator)


# The project file


def _toml(share: float, line: Callable[[int], str], size: int, head: str = "") -> bytes:
    count = int(MEGABYTE * share * 0.95) // size
    return f'name = "doors"\n{head}{"".join(line(each) for each in range(count))}'.encode()


FILES: dict[str, Callable[[float], bytes]] = {
    "event types": lambda share: _toml(share, lambda n: f'[event_types."a{n:06}.b"]\n', 26),
    "short event types": lambda share: _toml(share, lambda n: f"[event_types.a{n:05}]\n", 22),
    "plans": lambda share: _toml(share, lambda n: f"[plans.a{n:06}]\n", 17),
    "unknown keys": lambda share: _toml(share, lambda n: f"retenti{n:06} = 1\n", 18),
    "unknown key last": lambda share: _toml(share, lambda n: "\n", 1) + b"x = 1\n",
    "comments": lambda share: _toml(share, lambda n: "# " + "x" * 77 + "\n", 80),
    "accounts": lambda share: _toml(share, lambda n: f'"a{n:06}",', 10, "accounts = [") + b"]\n",
    "delays": lambda share: _toml(share, lambda n: '"1s",', 5, "[retry]\ndelays = [") + b"]\n",
    "envelope text": lambda share: (
        _toml(share, lambda n: "{event.id}", 10, '[dialect.envelope]\na = "') + b'"\n'
    ),
    "envelope members": lambda share: _toml(
        share, lambda n: f"a{n:06} = 0\n", 12, "[dialect.envelope]\n"
    ),
    "envelope slots": lambda share: _toml(
        share, lambda n: f'a{n:06} = "{{payload.a}}"\n', 24, "[dialect.envelope]\n"
    ),
    "envelope list": lambda share: (
        _toml(share, lambda n: "0,", 2, "[dialect.envelope]\na = [") + b"]\n"
    ),
    "dialect headers": lambda share: _toml(
        share, lambda n: f'a{n:06} = "0"\n', 14, "[dialect.headers]\n"
    ),
    "schema": lambda share: (
        _toml(
            share,
            lambda n: f'"{n:06x}":{{"type":"string"}},',
            26,
            "[event_types.a]\nschema = '''{\"properties\":{",
        )
        + b"\"z\":{}}}'''\n"
    ),
    "message fields": lambda share: (
        _toml(share, lambda n: '"a",', 4, "[event_types.a]\nmessage.fields = [") + b"]\n"
    ),
    "portal origins": lambda share: (
        _toml(share, lambda n: f'"https://a{n:06}.example",', 26, "[portal]\norigins = [") + b"]\n"
    ),
    "inline tables": lambda share: _toml(share, lambda n: "{},", 3, "accounts = [") + b"]\n",
    "braces": lambda share: _toml(share, lambda n: "{", 1, '[dialect.envelope]\na = "') + b'"\n',
    "spaces": lambda share: _toml(share, lambda n: " ", 1) + b"x = 1\n",
    "quotes": lambda share: _toml(share, lambda n: '"', 1),
    "a long key": lambda share: _toml(share, lambda n: "a", 1) + b" = 1\n",
    "dots": lambda share: _toml(share, lambda n: f"{'a.' * 30}a{n:06} = 1\n", 72),
    "a name": lambda share: _toml(share, lambda n: "a", 1, 'title = "') + b'"\n',
}

for _name, _body in FILES.items():

    @door(f"PUT /v1/projects: {_name}")
    def _apply(place: Place, share: float, body: Callable[[float], bytes] = _body) -> Request:
        return Request(
            method="PUT",
            path="/v1/projects/doors-2",
            key=place.operator,
            body=body(share),
            kind=TOML,
        )


# Forms

TEXTS: dict[str, Callable[[float], str]] = {
    "escapes": lambda share: "é" * int(150_000 * share),
    "plain": lambda share: "a" * int(1_000_000 * share),
    "lines": lambda share: "\n".join(["a:b"] * int(100_000 * share)),
    "words": lambda share: " ".join(["x.y"] * int(200_000 * share)),
    "hidden": lambda share: "\u202e" * int(100_000 * share),
}


def _lines(share: float) -> str:
    return "\n".join(f"a{number}: b" for number in range(int(90_000 * share)))


@door("portal form: 999 types")
def _portal_types(place: Place, share: float) -> Request:
    pairs = [("event_types", f"x{number}.y.z") for number in range(int(990 * share))]
    body = form(("url", "https://a.example"), *pairs)
    return Request(path=f"{place.portal}/endpoints/new", body=body, kind=FORM, headers=_from_ours())


@door("portal form: long types")
def _portal_long_types(place: Place, share: float) -> Request:
    pairs = [("event_types", f"{'x.' * 25}{number}.*") for number in range(int(900 * share))]
    body = form(("url", "https://a.example"), *pairs)
    return Request(path=f"{place.portal}/endpoints/new", body=body, kind=FORM, headers=_from_ours())


@door("portal form: header lines")
def _portal_headers(place: Place, share: float) -> Request:
    body = form(
        ("url", "https://a.example"), ("event_types", "*"), ("headers", _lines(share * SMALL))
    )
    return Request(path=f"{place.portal}/endpoints/new", body=body, kind=FORM, headers=_from_ours())


@door("portal form: a thousand fields")
def _portal_fields(place: Place, share: float) -> Request:
    body = form(*((f"f{number}", "a" * 50) for number in range(int(990 * share))))
    return Request(path=f"{place.portal}/endpoints/new", body=body, kind=FORM, headers=_from_ours())


for _name, _text in TEXTS.items():
    for _field in ("url", "description", "headers", "name", "event_types"):

        @door(f"portal form: {_field} of {_name}")
        def _portal_text(
            place: Place, share: float, text: Callable[[float], str] = _text, field: str = _field
        ) -> Request:
            body = form((field, text(share * SMALL)))
            path = f"{place.portal}/endpoints/{place.endpoint}/edit"
            return Request(path=path, body=body, kind=FORM, headers=_from_ours())

    @door(f"portal form: test with {_name}")
    def _portal_test(place: Place, share: float, text: Callable[[float], str] = _text) -> Request:
        body = form(("type", text(share * SMALL)))
        path = f"{place.portal}/endpoints/{place.endpoint}/test"
        return Request(path=path, body=body, kind=FORM, headers=_from_ours())

    @door(f"portal form: replay with {_name}")
    def _portal_replay(place: Place, share: float, text: Callable[[float], str] = _text) -> Request:
        body = form(
            ("what", "failed"),
            ("since", text(share * SMALL / 2)),
            ("until", text(share * SMALL / 4)),
        )
        path = f"{place.portal}/endpoints/{place.endpoint}/replay"
        return Request(path=path, body=body, kind=FORM, headers=_from_ours())

    @door(f"dashboard login with {_name}")
    def _login(place: Place, share: float, text: Callable[[float], str] = _text) -> Request:
        body = form(("key", text(share * SMALL / 2)), ("name", text(share * SMALL / 4)))
        return Request(path="/dashboard/login", body=body, kind=FORM, headers=_from_ours())

    for _path, _field, _limit in (
        ("/endpoints/{endpoint}/edit", "patterns", SMALL),
        ("/endpoints/{endpoint}/edit", "description", SMALL),
        ("/projects/doors/file", "file", 1.0),
        ("/projects/doors/event-type", "example", 1.0),
        ("/projects/doors/event-type", "schema", 1.0),
        ("/projects/doors/event-type", "accounts", 1.0),
        ("/projects/doors/event-type", "message/fields", 1.0),
        ("/keys", "name", SMALL),
        ("/users", "name", SMALL),
        ("/publish", "payload", 1.0),
    ):

        @door(f"dashboard form: {_path} {_field} of {_name}")
        def _dashboard(
            place: Place,
            share: float,
            text: Callable[[float], str] = _text,
            path: str = _path,
            field: str = _field,
            limit: float = _limit,
        ) -> Request:
            return _sent(place, path, (field, text(share * limit)), ("type", "invoice.paid"))


def _from_ours(cookie: str = "") -> dict[str, str]:
    ours = {"origin": "http://127.0.0.1:80", "host": "127.0.0.1:80"}
    return ours | ({"cookie": f"hooktide_session={cookie}"} if cookie else {})


def _sent(place: Place, path: str, *pairs: tuple[str, str]) -> Request:
    return Request(
        path="/dashboard" + path.format(endpoint=place.endpoint),
        body=form(("csrf", csrf_of(place.cookie)), *pairs),
        kind=FORM,
        headers=_from_ours(place.cookie),
    )


for _name in ("event types", "envelope slots", "unknown keys", "comments"):

    @door(f"dashboard form: check a file of {_name}")
    def _check(place: Place, share: float, name: str = _name) -> Request:
        text = FILES[name](share * 0.6).decode()
        return _sent(place, "/projects/doors/file", ("file", text), ("check", "1"))


@door("dashboard form: an example of members")
def _dashboard_example(place: Place, share: float) -> Request:
    text = wide(int(90_000 * share)).decode()
    return _sent(place, "/projects/doors/event-type", ("name", "a.d"), ("example", text))


@door("bin page: a hundred answers")
def _bin_answers(place: Place, share: float) -> Request:
    rows = range(1, int(100 * share) + 1)
    pairs = [
        (f"{name}-{row}", "200" if name == "status" else "")
        for row in rows
        for name in ("status", "delay", "retry_after")
    ]
    pairs += [(f"body-{row}", "é" * 1500) for row in rows]
    return Request(path=f"{place.bin}/answers", body=form(*pairs), kind=FORM)


@door("bin page: a thousand fields")
def _bin_fields(place: Place, share: float) -> Request:
    pairs = [(f"f{number}", "a" * 900) for number in range(int(990 * share))]
    return Request(path=f"{place.bin}/answers", body=form(*pairs), kind=FORM)


# Bins

for _name, _payload in PAYLOADS.items():

    @door(f"bin: a body of {_name}")
    def _bin(place: Place, share: float, payload: Callable[[int], bytes] = _payload) -> Request:
        return Request(path=place.bin, body=payload(int(MEGABYTE * share)))


@door("bin: signatures")
def _signatures(place: Place, share: float) -> Request:
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1",
        "webhook-signature": "v1, " * (int(HEAD * share) // 4),
    }
    return Request(path=place.bin, body=b"{}", headers=headers)


@door("bin: headers")
def _bin_headers(place: Place, share: float) -> Request:
    headers = {f"x-{number:04}": "a" * 20 for number in range(int(2000 * share))}
    return Request(path=place.bin, body=b"{}", headers=headers)


@door("bin: a long path")
def _bin_path(place: Place, share: float) -> Request:
    return Request(path=f"{place.bin}?{'a' * int(HEAD * share)}", body=b"{}")


# What comes in a request's head


@door("cookie of escapes")
def _cookie(place: Place, share: float) -> Request:
    text = 'hooktide_session="' + "\\" * int(HEAD * share) + '"'
    return Request(method="GET", path="/dashboard", headers={"cookie": text})


@door("cookie of many")
def _cookies(place: Place, share: float) -> Request:
    text = ";".join(["a=b"] * (int(HEAD * share) // 4))
    return Request(method="GET", path="/dashboard", headers={"cookie": text})


@door("portal token")
def _token(place: Place, share: float) -> Request:
    return Request(method="GET", path="/portal/" + "A" * int(HEAD * share))


@door("path of slashes")
def _slashes(place: Place, share: float) -> Request:
    return Request(method="GET", path="/" * int(HEAD * share))


@door("path of an account")
def _account_path(place: Place, share: float) -> Request:
    path = "/v1/accounts/" + "a" * int(HEAD * share)
    return Request(method="GET", path=path, key=place.operator)


@door("authorization")
def _authorization(place: Place, share: float) -> Request:
    return Request(method="GET", path="/v1/accounts", key="x" * int(HEAD * share))


for _path in ("/deliveries", "/search", "/accounts", "/events", "/audit-log", "/new-project"):

    @door(f"dashboard query: {_path}")
    def _dashboard_query(place: Place, share: float, path: str = _path) -> Request:
        text = "&".join(f"{name}={'%41' * int(5000 * share)}" for name in ("q", "text", "type"))
        return Request(
            method="GET", path=f"/dashboard{path}?{text}", headers=_from_ours(place.cookie)
        )


@door("portal query")
def _portal_query(place: Place, share: float) -> Request:
    text = "&".join(f"{name}={'%41' * int(5000 * share)}" for name in ("text", "type", "since"))
    return Request(method="GET", path=f"{place.portal}/deliveries?{text}")


# Pages of what others sent: only how long they hold the loop

SHOWN: list[Door] = [
    Door(
        f"portal: {_name} delivery",
        lambda place, _, name=_name: Request(  # type: ignore[misc]
            method="GET", path=f"{place.portal}/deliveries?delivery={place.ids[name]}"
        ),
    )
    for _name in ("deep-hook", "wide-hook", "deep-chat", "wide-chat")
]
SHOWN += [
    Door(
        f"dashboard: {_name} event",
        lambda place, _, name=_name: Request(  # type: ignore[misc]
            method="GET",
            path=f"/dashboard/events/{place.ids[name]}",
            headers=_from_ours(place.cookie),
        ),
    )
    for _name in ("deep-event", "wide-event")
]
SHOWN += [
    Door(
        f"GET {_path}",
        lambda place, _, path=_path: Request(  # type: ignore[misc]
            method="GET", path=path.format(bin=place.bin), headers=_from_ours(place.cookie)
        ),
    )
    for _path in (
        "/openapi.json",
        "/docs/doors",
        "/docs/doors.md",
        "/metrics",
        "{bin}/page",
        "/dashboard",
        "/dashboard/projects/doors",
        "/dashboard/projects/doors/file",
    )
]
