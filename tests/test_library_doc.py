"""The programs in docs/library.md run."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from apikit import Api
from outboxkit import engine_on, first_answer, kept
from ports import free_port
from processkit import send
from sqlalchemy.orm import Session
from storekit import until
from webkit import Client

from hooktide.app import App
from hooktide.sqlalchemy import emit

TEXT = (Path(__file__).parents[1] / "docs" / "library.md").read_text("utf-8")
FASTAPI, STARLETTE, DJANGO, OUTBOX = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = ["hooktide.django"]
"""
URLS = """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse('"django"', headers={"content-length": "8"}))]
"""

OK = {"status": "ok", "reasons": [], "warnings": []}


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(program, names)
    return names


def client_of(application: Any) -> Client:
    return Client(cast(App, SimpleNamespace(site=application)), "")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_the_program_for_fastapi_publishes_in_process() -> None:
    app = run(FASTAPI)["app"]
    client = client_of(app)
    async with app.router.lifespan_context(app):
        account = (await client.post("/customers/customer-1")).ok()["account"]
        assert account == (await client.post("/customers/customer-1")).ok()["account"]
        portal = (await client.get("/customers/customer-1/webhooks")).headers["location"]
        assert (await client.get(portal.removeprefix("http://127.0.0.1:8000"))).status == 200
        assert (await client.post("/invoices/1/pay")).ok()["event"].startswith("evt_")
        assert (await client.get("/hooktide/health/ready")).ok() == {
            "status": "ok",
            "reasons": [],
            "warnings": [],
        }


async def test_the_program_for_starlette_runs_it_within_its_own_lifespan() -> None:
    app = run(STARLETTE)["app"]
    async with app.router.lifespan_context(app):
        (await client_of(app).get("/hooktide/health/ready")).ok()


async def test_the_program_for_an_outbox_relays_it() -> None:
    with engine_on("app.db") as engine:
        with Session(engine) as session:
            emit(session, "no.such", {}, account="nobody")
            session.commit()
        async with run(OUTBOX)["hooktide"].running():
            await until(lambda: kept(engine) == [])


async def test_the_program_for_django_serves_both(folder: Path) -> None:
    (folder / "mysite").mkdir()
    for name, text in {"__init__": "", "settings": SETTINGS, "urls": URLS, "asgi": DJANGO}.items():
        (folder / "mysite" / f"{name}.py").write_text(text)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "mysite.asgi:application", "--port", str(port)),
        stdout=PIPE, stderr=STDOUT, env=os.environ | {"PYTHONPATH": str(folder)},
    )  # fmt: skip
    api = Api(f"http://127.0.0.1:{port}", "x")
    async with asyncio.timeout(60):
        ready = await first_answer(lambda: api.get("/hooktide/health/ready"))
        assert ready == OK
        assert await api.get("/") == "django"
        send(process, signal.SIGTERM)
        told, _ = await process.communicate()
    assert b"Application shutdown complete" in told
