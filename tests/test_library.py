"""Hooktide inside an application: mounted, publishing in process, started and stopped with it."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import apsw
import pytest
from accounting import PROJECT, Ledger
from apikit import Api
from fastapi import FastAPI
from outboxkit import engine_on, first_answer, kept
from ports import free_port
from processkit import send
from serverkit import receiving
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from storekit import until
from webkit import OPERATOR, Client

from hooktide.app import App
from hooktide.domain.errors import (
    ConfigError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.model import Scope as Reach
from hooktide.library import Hooktide
from hooktide.sqlalchemy import emit

PREFIX = "/hooktide"
ORIGIN = "http://hooks.example.com"
PUBLIC = f"{ORIGIN}{PREFIX}"


def hooktide_in(folder: Path, **options: Any) -> Hooktide:
    file = folder / "accounting.toml"
    file.write_text(PROJECT)
    settings = {
        "database": str(folder / "hooktide.db"),
        "public_url": PUBLIC,
        "projects": [str(file)],
        "operator_key": OPERATOR,
        "allow_network": ("127.0.0.0/8",),
        "stop_within": 4.0,
        **options,
    }
    return Hooktide(**settings)


def client_of(application: ASGIApp, key: str = OPERATOR) -> Client:
    return Client(cast(App, SimpleNamespace(site=application)), key)


@contextlib.asynccontextmanager
async def subscribed(hooktide: Hooktide, client: Client) -> AsyncIterator[Ledger]:
    """An account with an endpoint that records its requests."""
    ledger = Ledger()
    account = await hooktide.create_account("acme")
    async with receiving(ledger) as port:
        new = {"account": account, "url": f"http://127.0.0.1:{port}/ok", "event_types": ["*"]}
        (await client.post(f"{PREFIX}/v1/endpoints", new)).ok(201)
        yield ledger


def fastapi_with(hooktide: Hooktide) -> FastAPI:
    app = FastAPI(lifespan=hooktide.lifespan)
    app.mount(PREFIX, hooktide)
    return app


async def test_an_event_published_in_process_arrives(tmp_path: Path) -> None:
    hooktide = hooktide_in(tmp_path)
    app = fastapi_with(hooktide)
    client = client_of(app)
    async with app.router.lifespan_context(app), subscribed(hooktide, client) as ledger:
        id_ = await hooktide.publish("thing.happened", b'{"total": 1.10}', account="acme")
        again = [
            await hooktide.publish("thing.happened", {"n": 1}, account="acme", key="k")
            for _ in range(2)
        ]
        await until(lambda: len(ledger.arrived) == 2)
        assert {item.body for item in ledger.arrived} == {b'{"total": 1.10}', b'{"n":1}'}
        assert again[0] == again[1] != id_
        shown = (await client.get(f"{PREFIX}/v1/events/{id_}")).ok()
        assert shown["payload"] == {"total": 1.1}
        metrics = (await client.get(f"{PREFIX}/metrics")).body.decode()
        assert "hooktide_events_accepted_total 3" in metrics


async def test_channels_and_tags_are_published_in_process(tmp_path: Path) -> None:
    hooktide = hooktide_in(tmp_path)
    app = fastapi_with(hooktide)
    client = client_of(app)
    async with app.router.lifespan_context(app), subscribed(hooktide, client):
        id_ = await hooktide.publish(
            "thing.happened", {}, account="acme", channels=["north"], tags=["vip"]
        )
        shown = (await client.get(f"{PREFIX}/v1/events/{id_}")).ok()
        assert (shown["channels"], shown["tags"]) == (["north"], ["vip"])
        with pytest.raises(InvalidError) as wrong:
            await hooktide.publish("thing.happened", {}, account="acme", tags=["a b"])
        assert wrong.value.faults[0].pointer == "/tags/0"


async def test_what_cannot_be_published_is_said(tmp_path: Path) -> None:
    async with hooktide_in(tmp_path).running() as hooktide:
        await hooktide.create_account("acme")
        with pytest.raises(InvalidError):
            await hooktide.publish("no.such", {}, account="acme")
        for call in (hooktide.create_account, hooktide.create_portal_link):
            with pytest.raises(InvalidError, match="must be a str, not int"):
                await call(cast("str", 5))
        with pytest.raises(InvalidError, match="/payload/total is nan"):
            await hooktide.publish("thing.happened", {"total": float("nan")}, account="acme")
        assert await hooktide.publish("thing.happened", {}, account="nobody") is None
        with pytest.raises(NotFoundError):
            await hooktide.publish("thing.happened", {}, account="acme", project="nothing")
        await hooktide.publish("thing.happened", {}, account="acme", project="accounting")


async def test_before_it_runs_and_after_that_it_says_so(tmp_path: Path) -> None:
    hooktide = hooktide_in(tmp_path)
    app = Starlette(routes=[Mount(PREFIX, hooktide)])
    for _ in range(2):
        answer = await client_of(app).get(f"{PREFIX}/v1/events")
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        with pytest.raises(UnavailableError, match="is not running"):
            await hooktide.publish("thing.happened", {}, account="acme")
        async with hooktide.running():
            (await client_of(app).get(f"{PREFIX}/v1/events")).ok()


@pytest.mark.parametrize(("at", "warned"), [("/hooks", True), (PREFIX, False), ("", False)])
async def test_a_mount_unlike_the_public_url_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: str, warned: bool
) -> None:
    hooktide = hooktide_in(tmp_path)
    client = client_of(Starlette(routes=[Mount(at, hooktide)]))
    async with hooktide.running():
        for _ in range(2):
            (await client.get(f"{at}/v1/events")).ok()
    found = [each.getMessage() for each in caplog.records if "mounted" in each.getMessage()]
    assert len(found) == warned
    assert all(f"mounted at {at}, and the path of public_url is {PREFIX}" in each for each in found)


async def test_with_the_database_away_the_application_starts_and_hooktide_begins_by_itself(
    tmp_path: Path,
) -> None:
    human = apsw.Connection(str(tmp_path / "hooktide.db"))
    human.execute("CREATE TABLE t (x); BEGIN EXCLUSIVE")
    hooktide = hooktide_in(tmp_path)
    app = fastapi_with(hooktide)
    client = client_of(app)
    async with app.router.lifespan_context(app):
        ready = await client.get(f"{PREFIX}/health/ready")
        assert ready.status == 503
        assert "another program has locked the database" in ready.json["reasons"][0]
        assert (await client.get(f"{PREFIX}/health/live")).status == 200
        answer = await client.get(f"{PREFIX}/v1/events")
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        with pytest.raises(UnavailableError, match=r"waits for its database: .*locked"):
            await hooktide.publish("thing.happened", {}, account="acme")
        human.execute("ROLLBACK; DROP TABLE t")
        human.close()
        async with asyncio.timeout(60):
            while (await client.get(f"{PREFIX}/health/ready")).status != 200:
                await asyncio.sleep(0.02)
        async with subscribed(hooktide, client) as ledger:
            await hooktide.publish("thing.happened", {"n": 1}, account="acme")
            await until(lambda: len(ledger.arrived) == 1)
    with pytest.raises(UnavailableError, match="is not running"):
        await hooktide.publish("thing.happened", {}, account="acme")


class Faulty(Hooktide):
    """An application whose start fails for several reasons in turn."""

    def __init__(self, *failures: Exception, **options: Any) -> None:
        super().__init__(**options)
        self.failures = list(failures)

    async def _open(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super()._open()


async def test_a_bug_at_the_start_is_logged_and_the_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hooktide.app.opening.RETRY_DELAY", 0.0)
    monkeypatch.setattr("hooktide.app.opening.UNFIT_RETRY_DELAY", 0.01)
    hooktide = Faulty(
        UnavailableError("away"),
        KeyError("a bug"),
        database=str(tmp_path / "hooktide.db"),
        public_url="http://127.0.0.1/hooktide",
        operator_key=OPERATOR,
    )
    async with asyncio.timeout(60), hooktide.running():
        while (await client_of(hooktide).get(f"{PREFIX}/health/ready")).status != 200:
            await asyncio.sleep(0.01)
    [bug] = [each for each in caplog.records if each.exc_info]
    assert bug.getMessage() == "a bug stopped the start; trying again in 0.01 s"


async def test_an_application_ends_while_hooktide_waits_for_its_database(tmp_path: Path) -> None:
    human = apsw.Connection(str(tmp_path / "hooktide.db"))
    human.execute("CREATE TABLE t (x); BEGIN EXCLUSIVE")
    hooktide = hooktide_in(tmp_path)
    async with asyncio.timeout(60), hooktide.running():
        assert (await client_of(hooktide).get(f"{PREFIX}/v1/events")).status == 503
    with pytest.raises(UnavailableError, match="is not running"):
        await hooktide.publish("thing.happened", {}, account="acme")
    human.close()


async def test_an_outbox_is_relayed_in_process_and_what_is_refused_is_set_aside(
    tmp_path: Path,
) -> None:
    url = str(tmp_path / "app.db")
    hooktide = hooktide_in(tmp_path, outbox=f"sqlite+aiosqlite:///{url}")
    client = client_of(Starlette(routes=[Mount(PREFIX, hooktide)]))
    with engine_on(url) as engine:
        async with hooktide.running(), subscribed(hooktide, client) as ledger:
            with Session(engine) as session:
                emit(session, "thing.happened", {"id": 1}, account="acme")
                emit(session, "no.such", {"id": 2}, account="acme")
                emit(session, "thing.happened", {"id": 3}, account="acme")
                session.commit()
            await until(lambda: len(ledger.arrived) == 2)
            await until(lambda: len(kept(engine)) == 1)
        assert "no.such" in kept(engine)[0]["refused"]


async def test_pages_lead_to_where_they_are_mounted(tmp_path: Path) -> None:
    async with hooktide_in(tmp_path).running() as hooktide:
        client = client_of(Starlette(routes=[Mount(PREFIX, hooktide)]))
        made = (await client.post(f"{PREFIX}/v1/bins", {})).ok(201)
        assert made["url"].startswith(f"{PUBLIC}/bin/")
        path = made["page_url"].removeprefix(ORIGIN)
        received = await client.call("POST", made["url"].removeprefix(ORIGIN), body=b'{"a": "/b"}')
        assert received.status == 200
        account = await hooktide.create_account("acme")
        link = await hooktide.create_portal_link("acme", expires_in=60)
        portal = link.removeprefix(ORIGIN)
        new = {"account": account, "url": "http://127.0.0.1:65000/x", "event_types": ["*"]}
        (await client.post(f"{PREFIX}/v1/endpoints", new)).ok(201)
        pages = (path, portal, f"{PREFIX}/docs/accounting", f"{PREFIX}/dashboard/login")
        for page_path in pages:
            page = await client.get(page_path)
            assert page.status == 200, page_path
            assert int(page.headers["content-length"]) == len(page.body)
            links = re.findall(r'\s(?:href|src|action|data-base)="(/[^"]*)"', page.body.decode())
            assert links
            assert all(link.startswith(f"{PREFIX}/") for link in links), links
            for link in links:
                assert "/static/" not in link or (await client.get(link)).status == 200
        cleared = await client.call(
            "POST", f"{path}/clear", headers={"sec-fetch-site": "same-origin"}
        )
        assert (cleared.status, cleared.headers["location"]) == (303, path)
        served = (await client.get(f"{PREFIX}/openapi.json")).ok()["servers"]
        assert served == [{"url": PUBLIC}]


async def test_a_proxy_may_put_a_path_before_that_of_the_mount(tmp_path: Path) -> None:
    """Requests have only the mount's path, responses have both paths."""
    outer = "http://hooks.example.com/api"
    async with hooktide_in(tmp_path, public_url=outer + PREFIX).running() as hooktide:
        client = client_of(Starlette(routes=[Mount(PREFIX, hooktide)]))
        (await client.get(f"{PREFIX}/health/ready")).ok()
        made = (await client.post(f"{PREFIX}/v1/bins", {})).ok(201)
        page = await client.get(made["page_url"].removeprefix(outer))
        assert page.status == 200
        assert f'data-base="/api{PREFIX}/bins/'.encode() in page.body


@pytest.mark.parametrize("outer", ["http://hooks.example.com", "http://hooks.example.com/api"])
async def test_an_account_with_a_slash_is_reached_where_it_is_mounted(
    tmp_path: Path, outer: str
) -> None:
    async with hooktide_in(tmp_path, public_url=outer + PREFIX).running() as hooktide:
        client = client_of(Starlette(routes=[Mount(PREFIX, hooktide)]))
        await hooktide.create_account("acme/eu")
        found = (await client.get(f"{PREFIX}/v1/accounts/acme%2Feu")).ok()
        assert found["reference"] == "acme/eu"
        links = await client.post(f"{PREFIX}/v1/accounts/acme%2feu/portal-links", {})
        assert links.ok(201)["url"].startswith(f"{outer}{PREFIX}/portal/")


FORM = {"content-type": "application/x-www-form-urlencoded", "origin": "http://hooks.example.com"}


async def test_the_dashboard_works_where_it_is_mounted(tmp_path: Path) -> None:
    async with hooktide_in(tmp_path).running() as hooktide:
        await hooktide.publish("thing.happened", {}, account=await hooktide.create_account("acme"))
        client = client_of(Starlette(routes=[Mount(PREFIX, hooktide)]), "")
        login = f"{PREFIX}/dashboard/login"
        body = f"key={OPERATOR}".encode()
        answer = await client.call("POST", login, body=body, headers=FORM)
        assert (answer.status, answer.headers["location"]) == (303, f"{PREFIX}/dashboard")
        cookie, *attributes = answer.headers["set-cookie"].split("; ")
        assert f"path={PREFIX}/dashboard" in [each.lower() for each in attributes]
        waiting, seen = [f"{PREFIX}/dashboard"], set[str]()
        while waiting:
            path = waiting.pop()
            seen.add(path.partition("?")[0])
            page = await client.call("GET", path, headers={"cookie": cookie})
            assert page.status == 200, (path, page)
            found = re.findall(r'\s(?:href|src|action|data-stream)="(/[^"]*)"', page.body.decode())
            assert all(link.startswith(f"{PREFIX}/") for link in found), (path, found)
            links = re.findall(rf'\shref="({PREFIX}/dashboard[^"#?]*)', page.body.decode())
            waiting = sorted({*waiting, *links} - seen)
        assert len(seen) > 10


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "beside"])
async def test_it_may_be_mounted_at_a_path_that_it_has_itself(
    tmp_path: Path, mounted: bool
) -> None:
    hooktide = hooktide_in(tmp_path, public_url="http://hooks.example.com/portal")
    nothing = Starlette()
    site = Starlette(routes=[Mount("/portal", hooktide)]) if mounted else hooktide.wrap(nothing)
    async with hooktide.running():
        await hooktide.create_account("acme")
        link = await hooktide.create_portal_link("acme")
        page = await client_of(site).get(link.removeprefix(ORIGIN))
        assert page.status == 200


async def test_another_application_stands_beside_it(tmp_path: Path) -> None:
    """Like Django, which has no lifespan."""
    asked: list[str] = []

    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    hooktide = hooktide_in(tmp_path)
    application = hooktide.wrap(other)
    client = client_of(application)
    async with living(application):
        (await client.get(f"{PREFIX}/v1/projects")).ok()
        assert (await client.get(f"{PREFIX}")).status == 404
        for path in ("/", "/hooktides", "/invoices"):
            assert (await client.get(path)).status == 204
    assert asked == ["/", "/hooktides", "/invoices"]
    assert (await client.get(f"{PREFIX}/v1/projects")).status == 503


@contextlib.asynccontextmanager
async def living(application: ASGIApp) -> AsyncIterator[None]:
    """Run an application's lifespan as a server does."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.create_task(_live(application, told, said))
    told.put_nowait({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    yield
    told.put_nowait({"type": "lifespan.shutdown"})
    assert await said.get() == {"type": "lifespan.shutdown.complete"}
    await task


async def _live(application: ASGIApp, told: asyncio.Queue[Any], said: asyncio.Queue[Any]) -> None:
    await application({"type": "lifespan"}, told.get, said.put)


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    async with hooktide_in(tmp_path).running():
        second = hooktide_in(tmp_path)
        with pytest.raises(ConfigError):
            async with second.running():
                pass
        said: asyncio.Queue[Any] = asyncio.Queue()
        told: asyncio.Queue[Any] = asyncio.Queue()
        told.put_nowait({"type": "lifespan.startup"})
        await _live(second, told, said)
        assert said.get_nowait()["type"] == "lifespan.startup.failed"


@pytest.mark.parametrize("wrong", [{"processes": 2}, {"no_such": 1}, {"public_url": "hooks"}])
def test_a_wrong_option_is_refused_at_once(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        hooktide_in(tmp_path, **wrong)


APPLICATION = """
from starlette.applications import Starlette
from starlette.routing import Mount
from hooktide.library import Hooktide
hooktide = Hooktide(public_url="http://127.0.0.1:PORT/hooktide", operator_key="KEY")
app = Starlette(routes=[Mount("/hooktide", hooktide)], lifespan=hooktide.lifespan)
"""


async def test_a_page_that_keeps_itself_current_holds_up_no_end(tmp_path: Path) -> None:
    port = free_port()
    text = APPLICATION.replace("PORT", str(port)).replace("KEY", OPERATOR)
    (tmp_path / "mine.py").write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "mine:app", "--port", str(port)),
        cwd=tmp_path, stdout=PIPE, stderr=STDOUT, env=os.environ,
    )  # fmt: skip
    api = Api(f"http://127.0.0.1:{port}/hooktide", OPERATOR)
    async with asyncio.timeout(60):
        made = await first_answer(lambda: api.post("/v1/bins", {}))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = made["page_url"].removeprefix(f"http://127.0.0.1:{port}")
        writer.write(f"GET {path}/events HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert b"200" in await reader.readline()
        send(process, signal.SIGTERM)
        told, _ = await process.communicate()
    writer.close()
    assert b"Application shutdown complete" in told


async def test_a_start_takes_no_plan_away_that_an_account_is_on(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ntitle = "Mine"\n[plans.small]\n')
    mine = [str(tmp_path / "mine.toml")]
    async with hooktide_in(tmp_path, projects=mine).running() as hooktide:
        await hooktide.create_account("acme")
    (tmp_path / "mine.toml").write_text('name = "mine"\ntitle = "Mine"\n[plans.large]\n')
    with pytest.raises(RefusedError, match="move it to another plan first"):
        async with hooktide_in(tmp_path, projects=mine).running():
            pass


async def test_a_start_removes_types_that_endpoints_want_only_when_it_is_confirmed(
    tmp_path: Path,
) -> None:
    without = 'name = "mine"\ntitle = "Mine"\n'
    (tmp_path / "mine.toml").write_text(without + '[event_types."a.b"]\n')
    mine = [str(tmp_path / "mine.toml")]
    async with hooktide_in(tmp_path, projects=mine).running() as hooktide:
        await hooktide.create_account("acme")
        hook = {"account": "acme", "url": "http://127.0.0.1:65000/", "event_types": ["a.b"]}
        (await Client(hooktide.app).post("/v1/endpoints", hook)).ok(201)
    (tmp_path / "mine.toml").write_text(without)
    with pytest.raises(RefusedError, match="remove_event_types=True for hooktide"):
        async with hooktide_in(tmp_path, projects=mine).running():
            pass
    confirmed = hooktide_in(tmp_path, projects=mine, remove_event_types=True)
    async with confirmed.running() as hooktide:
        assert (await hooktide.app.store.get_project(Reach(), "mine")).project.event_types == ()
