"""The direct handler of ``POST /v1/events`` behaves exactly like the ASGI application."""

import asyncio
import itertools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
from httpkit import Server, Wire, shown
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope
from webkit import RECEIVER, Site

from hooktide.actions.publishing.intake import SMALL
from hooktide.domain.model import Scope
from hooktide.domain.project.project import SchemaPolicy
from hooktide.domain.project.project_file import write_project
from hooktide.web.http.state import State
from hooktide.web.publishing import publish_handler

PAID = b'{"account":"acme","type":"invoice.paid","payload":{"id":"42"}}'
KEY = b"htk_" + b"k" * 43
"""Stands for the key that there is."""
OPERATOR = b"htk_" + b"o" * 43
"""Stands for an operator's key."""
TIMEOUT = 60.0


class Door(Server):
    """The site's server, with handlers or without; ``tasks`` counts what the application got."""

    def __init__(self, site: Site, key: str, *, handles: bool) -> None:
        self._keys = {KEY: key.encode(), OPERATOR: site.operator.key.encode()}
        self._site = site.app.site
        self.state = State(self._application, site.app.handlers if handles else {})
        self.state.default_headers = [(b"date", b"Sun, 29 Nov 2026 00:00:00 GMT")]
        self.tasks = 0

    async def _application(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        self.tasks += 1
        await self._site(scope, receive, send)

    def send(self, request: bytes) -> Wire:
        """Send a request over a new connection."""
        wire = self.connect()
        wire.receive(self._with_key(request))
        return wire

    def _with_key(self, request: bytes) -> bytes:
        for place, key in self._keys.items():
            request = request.replace(place, key)
        return request

    async def answers(self, request: bytes, *cuts: int) -> str:
        """Send a request split at these positions, then close. Return the response until then."""
        sent, wire = self._with_key(request), self.connect()
        for start, end in itertools.pairwise((0, *cuts)):
            wire.receive(sent[start:end])
            await asyncio.sleep(0)
        wire.receive(sent[max(cuts, default=0) :])
        wire.receive_eof()  # before the response, in both variants
        await closed(wire)
        return re.sub(r"evt_[0-9a-f]{16}", "evt_...", shown(wire))


async def closed(wire: Wire) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not wire.closed:
            await asyncio.sleep(0.001)


def post(
    body: bytes = PAID,
    more: bytes = b"",
    *,
    key: bytes = KEY,
    target: bytes = b"/v1/events",
    length: bytes | None = None,
) -> bytes:
    """Return a request. ``more`` are additional header lines."""
    declared = b"%d" % len(body) if length is None else length
    return (
        b"POST %b HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %b\r\n%bcontent-length: %b\r\n\r\n%b"
        % (target, key, more, declared, body)
    )


def event(**members: Any) -> bytes:
    """Return an event with these members replaced by JSON texts, or removed if ``None``."""
    given = {"account": '"acme"', "type": '"invoice.paid"', "payload": '{"id":"42"}', **members}
    return "{{{}}}".format(
        ",".join(f'"{name}":{text}' for name, text in given.items() if text is not None)
    ).encode()


def batch(*events: bytes) -> bytes:
    return b"[%b]" % b",".join(events)


def keyed(key: bytes, more: bytes = b"") -> bytes:
    return b"idempotency-key: %b\r\n" % key + more


TAKEN = {
    "plain": post(),
    "json": post(more=b"Content-Type: application/json\r\n"),
    "other headers": post(more=b"User-Agent: a\r\nAccept: */*\r\nX-Id: \xff\r\n"),
    "test": post(event(test="true")),
    "occurred": post(event(occurred_at='"2026-11-29T10:00:00Z"')),
    "transition": post(event(transition='"paid"')),
    "key": post(more=keyed(b"SIDE-1")),
    "the same key again": post(more=keyed(b"SIDE-1")),
    "key in the body": post(event(idempotency_key='"SIDE-2"')),
    "both keys": post(event(idempotency_key='"SIDE-3"'), keyed(b"SIDE-3")),
    "spaces": post(b" \r\n\t" + PAID + b"\n"),
    "escaped": post(event(account='"ac\\u006de"')),
    "large": post(event(payload='"%s"' % ("x" * 60_000))),
    "close": post(more=b"connection: close\r\n"),
    "three at once": post() + post(event(test="true")) + post(),
    "any value": post(event(payload="17")),
    "deep": post(event(payload="[" * 64 + "]" * 64)),
    "operator": post(key=OPERATOR),
    "batch": post(batch(PAID, event(test="true"))),
    "batch and spaces": post(b" [ %b , %b ]\n" % (PAID, PAID)),
    "batch of one": post(batch(PAID)),
    "keys in a batch": post(batch(*[event(idempotency_key=f'"SIDE-1{n}"') for n in (1, 2)])),
    "the same keys again": post(batch(*[event(idempotency_key=f'"SIDE-1{n}"') for n in (1, 2)])),
    "one key twice in a batch": post(batch(*[event(idempotency_key='"SIDE-13"')] * 2)),
    "most events": post(batch(*[PAID] * 128)),
    "operator's batch": post(batch(PAID, PAID), key=OPERATOR),
    "quotation marks": post(batch(event(payload='{"a\\"":"\\""}'), PAID)),
    "batch, then an event": post(batch(PAID, PAID)) + post(),
}
"""What is answered without a task."""

LEFT = {
    "empty batch": post(b"[]"),
    "batch with the header": post(batch(PAID), keyed(b"SIDE-20")),
    "one wrong in a batch": post(batch(PAID, event(type='"invoice.payed"'), PAID)),
    "all wrong in a batch": post(batch(event(account='""'), event(payload=None))),
    "unknown account in a batch": post(batch(PAID, event(account='"nobody"'))),
    "too many in a batch": post(batch(*[b"1"] * 1001)),
    "more events": post(batch(*[PAID] * 129)),
    "no events": post(batch(b"1", b"null")),
    "a batch in a batch": post(batch(PAID, batch(PAID))),
    "a member twice in a batch": post(batch(PAID, PAID[:-1] + b',"account":"acme"}')),
    "a default in a batch": post(batch(PAID, event(test="false"))),
    "no JSON behind an event": post(b"[%b,{]" % PAID),
    "behind the batch": post(batch(PAID) + b"x"),
    "no number in a batch": post(batch(PAID, event(payload="1e999"))),
    "larger batch": post(batch(*[event(payload='"%s"' % ("x" * 2900))] * 100)),
    "operator and unknown account": post(event(account='"nobody"'), key=OPERATOR),
    "the key for another event": post(event(payload="1"), keyed(b"SIDE-1")),
    "two keys that differ": post(event(idempotency_key='"SIDE-8"'), keyed(b"SIDE-9")),
    "long key": post(more=keyed(b"k" * 256)),
    "key that is not ASCII": post(more=keyed("SIDE-é".encode())),
    "key that is not UTF-8": post(more=keyed(b"\xff")),
    "two key headers": post(more=keyed(b"SIDE-4", keyed(b"SIDE-5"))),
    "NUL in the key": post(event(idempotency_key='"a\\u0000"')),
    "no JSON": post(b"{"),
    "nothing": post(b""),
    "behind the event": post(PAID + b"x"),
    "unknown member": post(event(colour="1")),
    "member twice": post(PAID[:-1] + b',"account":"acme"}'),
    "no payload": post(event(payload=None)),
    "no account": post(event(account=None)),
    "empty account": post(event(account='""')),
    "account that is a number": post(event(account="1")),
    "too deep": post(event(payload="[" * 65 + "]" * 65)),
    "far too deep": post(b"[" * 5000 + b"]" * 5000),
    "lone surrogate": post(event(payload='"\\ud800"')),
    "no number": post(event(payload="1e999")),
    "not UTF-8": post(event(payload='"x"').replace(b'"x"', b'"\xff"')),
    "unknown type": post(event(type='"invoice.payed"')),
    "unknown account": post(event(account='"nobody"')),
    "no such id": post(event(account='"acc_0000000000000000"')),
    "bad time": post(event(occurred_at='"yesterday"')),
    "long transition": post(event(transition='"%s"' % ("x" * 201))),
    "larger": post(event(payload='"%s"' % ("x" * 70_000))),
    "too large": post(event(payload='"%s"' % ("x" * 262_144))),
    "text": post(more=b"content-type: text/plain\r\n"),
    "charset": post(more=b"content-type: application/json; charset=utf-8\r\n"),
    "other charset": post(more=b"content-type: application/json; charset=latin-1\r\n"),
    "two types": post(more=b"content-type: application/json\r\n" * 2),
    "gzip": post(more=b"content-encoding: gzip\r\n"),
    "identity": post(more=b"content-encoding: identity\r\n"),
    "no key": b"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b"
    % (len(PAID), PAID),
    "wrong key": post(key=b"htk_" + b"x" * 43),
    "no bearer": post().replace(b"Bearer ", b"Basic "),
    "bearer in other letters": post().replace(b"Bearer ", b"bearer "),
    "two authorizations": post(more=b"authorization: Bearer x\r\n"),
    "key in the URL": post(target=b"/v1/events?key=" + KEY),
    "query": post(target=b"/v1/events?a=b"),
    "own project": post(more=b"hooktide-project: invoice-maker\r\n"),
    "no such project": post(more=b"hooktide-project: nope\r\n"),
    "two projects": post(more=b"hooktide-project: a\r\nhooktide-project: b\r\n"),
    "sender of another": post(more=b"hooktide-sender: 0000000000000000\r\n"),
    "prefix": post(more=b"x-forwarded-prefix: /hooks\r\n"),
    "expect": post(more=b"expect: 100-continue\r\n"),
    "chunked": post(b"%x\r\n%b\r\n0\r\n\r\n" % (len(PAID), PAID), length=b"0").replace(
        b"content-length: 0", b"transfer-encoding: chunked"
    ),
    "HTTP/1.0": post().replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"host: a\r\n", b"x: y\r\n"),
    "length with a plus": post(length=b"+%d" % len(PAID)),
    "unfinished": post()[:-1],
    "unfinished head": post()[:40],
    "escaped path": post(target=b"/v1/%65vents"),
    "two slashes": post(target=b"//v1/events"),
    "GET": post().replace(b"POST", b"GET"),
    "HEAD": post().replace(b"POST", b"HEAD"),
    "PUT": post().replace(b"POST", b"PUT"),
    "bad batch, then good": post(b"[{]") + post(batch(PAID)),
    "bad, then good": post(b"{") + post(),
    "good, then bad": post() + post(b"{"),
    "good, then no HTTP": post() + b"GARBAGE\r\n\r\n",
}
"""What goes to the application, or is refused before: byte for byte as without handlers."""

TAKEN_LARGE = batch(*[event(payload='"%s"' % ("x" * 2000))] * 100)

SETTLED = {
    "a used key in a batch": post(batch(PAID, event(payload="1", idempotency_key='"SIDE-2"'))),
    "one key for two events": post(
        batch(*[event(payload=n, idempotency_key='"SIDE-30"') for n in ("1", "2")])
    ),
}
"""What is stored without a task, although a part of it is refused."""


@pytest.fixture
async def doors(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Door, Door]:
    """The same application with and without direct handlers.

    Batches are always checked in time, however busy the machine is.
    """
    monkeypatch.setattr(publish_handler, "MAX_TURN", TIMEOUT)
    await site.account()
    await site.endpoint(url=RECEIVER)
    project = await site.key("project", project="invoice-maker")
    (
        await project.post("/v1/events", {"account": "acme", "type": "invoice.paid", "payload": {}})
    ).ok(202)
    await site.operator.post(
        "/v1/events", {"account": "acme", "type": "invoice.paid", "payload": {}}
    )  # an operator's references are looked up separately
    return Door(site, project.key, handles=True), Door(site, project.key, handles=False)


class Kept:
    """Reads what was stored since the last call."""

    def __init__(self, site: Site) -> None:
        self._store = site.app.store
        self._last = -1

    async def __call__(self) -> list[tuple[Any, ...]]:
        page = await self._store.list_events(Scope(), None, 100, after=self._last)
        new = [await self._store.get_event(Scope(), row.event.id) for row in reversed(page.items)]
        self._last = max([self._last, *[row.event.id for row in new]])
        found = [(row.event, row.deliveries) for row in new]
        return [
            (made.type, made.payload, made.account_id, made.transition, made.test, deliveries)
            for made, deliveries in found
        ]


@pytest.mark.both_databases
async def test_it_is_answered_and_stored_as_the_application_does(
    site: Site, doors: tuple[Door, Door]
) -> None:
    kept = Kept(site)
    await kept()
    for name, request in {**TAKEN, "large batch": post(TAKEN_LARGE), **LEFT, **SETTLED}.items():
        answers, stored = [], []
        for side, door in zip((b"fast", b"slow"), doors, strict=True):
            asked = door.tasks
            answers.append(await door.answers(request.replace(b"SIDE", side)))
            stored.append(await kept())
            if side == b"fast" and name not in LEFT:
                assert door.tasks == asked, name
                status = " 207 Multi-Status" if name in SETTLED else " 202 Accepted"
                assert status in answers[0], (name, answers)
        assert answers[0] == answers[1], name
        assert stored[0] == stored[1], name


async def test_it_waits_for_a_small_body_wherever_the_request_is_cut(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    request = post(more=b"content-type: application/json\r\nconnection: close\r\n")
    whole = await fast.answers(request)
    for at in range(1, len(request)):
        assert await fast.answers(request, at) == whole, at
    assert await fast.answers(request, *range(1, len(request))) == whole
    assert not fast.tasks


async def test_a_body_that_never_arrives_whole_stores_nothing(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    kept = Kept(site)
    await kept()
    left = fast.send(post()[:-5])
    left.close()
    await closed(left)
    assert " 202 Accepted" in await fast.answers(post())
    assert len(await kept()) == 1


async def test_a_client_that_is_gone_before_the_commit_has_published(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    kept = Kept(site)
    await kept()
    gone = fast.send(post())
    gone.abort()
    await closed(gone)
    await site.app.store.recorded()
    assert len(await kept()) == 1
    assert site.app.body_memory.held == 0


async def test_a_batch_whose_client_is_gone_counts_what_was_accepted_beside_a_refusal(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    used = event(idempotency_key='"GONE-1"')
    assert " 202 Accepted" in await fast.answers(post(used))
    accepted = site.app.metrics.accepted.by_value
    before = accepted[""]
    other = event(idempotency_key='"GONE-1"', payload="2")
    gone = fast.send(post(batch(PAID, other)))
    gone.abort()
    await closed(gone)
    await site.app.store.recorded()
    assert accepted[""] == before + 1


async def test_an_account_that_is_removed_meanwhile_is_looked_for_again(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    kept = Kept(site)
    await kept()
    assert '"account":"unknown"' in await _while_removing(site, fast, post())
    assert fast.tasks == 1
    assert await kept() == []


def _locking(site: Site) -> apsw.Connection:
    """Lock the database once the application is not writing."""
    other = apsw.Connection(site.app.settings.database)
    other.set_busy_timeout(30_000)
    other.execute("BEGIN IMMEDIATE")
    return other


async def _while_removing(site: Site, door: Door, request: bytes) -> str:
    """Send a request that is checked before the account is deleted, and written afterwards."""
    async with asyncio.timeout(TIMEOUT):
        while site.app.worker.in_flight:  # the writer would be busy with an attempt's record
            await asyncio.sleep(0.001)
    await site.app.store.recorded()
    other = _locking(site)
    removing = asyncio.create_task(site.operator.delete("/v1/accounts/acme"))
    async with asyncio.timeout(TIMEOUT):
        while not site.app.store._writer._busy:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
    asked = door.tasks
    published = asyncio.create_task(door.answers(request))
    await asyncio.sleep(0)
    assert door.tasks == asked
    other.execute("ROLLBACK")
    assert (await removing).status == 204
    return await published


async def test_a_reference_that_a_second_project_knows_is_known_no_longer(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    assert " 202 Accepted" in await fast.answers(post(key=OPERATOR))
    assert not fast.tasks
    await site.account("offerte-adviseur")
    assert "ambiguous_account" in await fast.answers(post(key=OPERATOR))
    assert " 202 Accepted" in await fast.answers(post())


async def test_an_unavailable_database_is_reported_as_by_the_application(
    site: Site, doors: tuple[Door, Door]
) -> None:
    other = _locking(site)
    told = await asyncio.gather(*[door.answers(post()) for door in doors])
    assert "503 Service Unavailable" in told[0]
    assert told[0] == told[1]
    other.execute("ROLLBACK")
    assert " 202 Accepted" in await doors[0].answers(post())
    assert site.app.body_memory.held == 0


async def test_a_body_that_is_waited_for_is_counted_until_it_is_stored_or_given_up(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    memory, request = site.app.body_memory, post(batch(*[event(payload="7")] * 3))
    length = len(request.partition(b"\r\n\r\n")[2])
    waiting = [fast.send(request[:-10]) for _ in range(3)]
    assert memory.held == 3 * length
    waiting[0].abort()
    async with asyncio.timeout(TIMEOUT):
        while memory.held > 2 * length:
            await asyncio.sleep(0)
    assert memory.held == 2 * length
    waiting[1].receive(request[-10:])
    assert memory.held == 2 * length
    waiting[2].receive(b"[GARBAGE]!")  # ten bytes that make it invalid JSON
    await site.app.store.recorded()
    async with asyncio.timeout(TIMEOUT):
        while b"400 Bad Request" not in waiting[2].written:
            await asyncio.sleep(0.001)
    assert memory.held == 0
    assert b"202 Accepted" in waiting[1].written
    assert fast.tasks == 1


async def test_a_batch_larger_than_what_is_read_at_once_is_waited_for(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    request = post(TAKEN_LARGE, b"connection: close\r\n")
    assert " 202 Accepted" in await fast.answers(request, 1000, 70_000, 140_000)
    assert not fast.tasks
    assert site.app.body_memory.held == 0


async def test_a_batch_whose_check_takes_long_is_left_to_the_application(
    doors: tuple[Door, Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, _ = doors
    monkeypatch.setattr(publish_handler, "MAX_TURN", 0.0)
    assert " 202 Accepted" in await fast.answers(post(batch(PAID, PAID), b"connection: close\r\n"))
    assert fast.tasks == 1


async def test_a_batch_that_waits_until_it_may_enter_is_taken_all_the_same(
    site: Site, doors: tuple[Door, Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, _ = doors
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        publish_handler, "time", SimpleNamespace(perf_counter=lambda: float(clock.now))
    )
    monkeypatch.setattr(publish_handler, "MAX_TURN", 0.005)
    entered = site.app.publisher.intake.enter(SMALL.window)
    published = asyncio.create_task(fast.answers(post(batch(PAID, PAID))))
    await asyncio.sleep(0)
    clock.now = 1.0
    assert site.app.body_memory.held
    site.app.publisher.intake.leave(entered)
    assert " 202 Accepted" in await published
    assert not fast.tasks
    assert site.app.body_memory.held == 0


async def test_without_room_for_a_large_batch_the_application_lets_it_wait(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    memory = site.app.body_memory
    memory.take(memory.large_limit)
    waiting = asyncio.create_task(fast.answers(post(TAKEN_LARGE)))
    assert " 202 Accepted" in await fast.answers(post())  # there is memory for small ones
    async with asyncio.timeout(TIMEOUT):
        while not fast.tasks:
            await asyncio.sleep(0)
    memory.release(memory.large_limit)
    assert " 202 Accepted" in await waiting


async def test_a_batch_with_an_account_that_is_removed_meanwhile_is_stored_but_for_it(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    await site.operator.post("/v1/accounts", {"project": "invoice-maker", "reference": "other"})
    assert " 202 Accepted" in await fast.answers(post(event(account='"other"')))
    kept = Kept(site)
    await kept()
    published = await _while_removing(site, fast, post(batch(PAID, event(account='"other"'))))
    assert '"account":"unknown"' in published
    assert len(await kept()) == 1
    assert site.app.body_memory.held == 0


async def test_without_room_for_bodies_the_application_lets_it_wait(
    site: Site, doors: tuple[Door, Door]
) -> None:
    fast, _ = doors
    memory = site.app.body_memory
    memory.take(memory.limit)
    waiting = asyncio.create_task(fast.answers(post()))
    async with asyncio.timeout(TIMEOUT):
        while not fast.tasks:
            await asyncio.sleep(0)
    memory.release(memory.limit)
    assert " 202 Accepted" in await waiting


async def test_what_a_schema_only_warns_about_is_left_to_the_application(
    site: Site, doors: tuple[Door, Door]
) -> None:
    """The application could check the event again, but the warning is logged once."""
    fast, _ = doors
    project = (await site.app.store.get_project(Scope(), "invoice-maker")).project
    text = write_project(replace(project, schema_policy=SchemaPolicy.WARN))
    (await site.operator.apply("invoice-maker", text)).ok()
    assert " 202 Accepted" in await fast.answers(post())
    assert fast.tasks == 1
