"""The examples run as their README says."""

import asyncio
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from apikit import Api, ApiError
from ports import free_port
from postgreskit import database
from processkit import send

EXAMPLES = Path(__file__).parents[1] / "examples"
KEY = "htk_" + "e" * 43
INVOICE = {"customer": "c-1", "number": "F-1", "currency": "EUR", "total": "1250.00"}


@asynccontextmanager
async def invoicing(
    folder: Path,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
    ends_with: signal.Signals = signal.SIGTERM,
) -> AsyncIterator[Api]:
    """Run the application. Yield a client for it and one for the embedded Hooktide."""
    if not (folder / "app.py").exists():
        shutil.copytree(EXAMPLES / "invoicing", folder, dirs_exist_ok=True)
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    env = os.environ | {"HOOKTIDE_OPERATOR_KEY": KEY, "PUBLIC_URL": url} | dict(settings or {})
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=env, stdout=log, stderr=STDOUT
        )
    try:
        await until(lambda: answers(Api(url, KEY)), folder / "log")
        yield Api(url, KEY)
    finally:
        send(process, ends_with)
        async with asyncio.timeout(60):
            assert await process.wait() in (0, -ends_with), (folder / "log").read_text()[-3000:]


async def until(true: Callable[[], Awaitable[Any]], log: Path) -> Any:
    """Wait until a call returns something true, and return that."""
    try:
        async with asyncio.timeout(60):
            while not (found := await true()):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(log.read_text()[-3000:]) from None
    return found


async def answers(api: Api) -> bool:
    try:
        await api.get("/hooktide/health/ready")
    except ApiError:
        return False
    return True


async def subscribed(api: Api, account: str) -> str:
    """Create a request bin and an endpoint for it. Return the bin's id."""
    made = await api.post("/hooktide/v1/bins", {})
    new = {"account": account, "url": made["url"], "event_types": ["*"]}
    await api.post("/hooktide/v1/endpoints", new)
    return str(made["id"])


async def received(api: Api, bin_id: str) -> list[Any]:
    """Return the received events in order, after checking their signatures."""
    page = await api.get(f"/hooktide/v1/bins/{bin_id}/requests")
    rows = list(reversed(page["items"]))
    assert {row["signature"]["verdict"] for row in rows} <= {"valid"}
    return [await api.get(f"/hooktide/v1/bins/{bin_id}/requests/{r['id']}/raw") for r in rows]


async def live(api: Api) -> tuple[dict[str, Any], list[Any]]:
    """Take an invoice through its lifecycle. Return it and its states."""
    invoice = await api.post("/invoices", INVOICE)
    states = [invoice]
    for step in ("submit", "verify", "pay"):
        await api.post(f"/invoices/{invoice['id']}/{step}")
        states.append(await api.get(f"/invoices/{invoice['id']}"))
    return invoice, states


async def test_invoicing_tells_its_customers_of_each_step_in_both_formats(tmp_path: Path) -> None:
    async with invoicing(tmp_path) as api:
        customer = await api.post("/customers", {"id": "c-1"})
        defacto = await subscribed(api, customer["defacto_account"])
        ahoy = await subscribed(api, customer["invoice_ahoy_account"])
        invoice, states = await live(api)
        with pytest.raises(ApiError) as refused:
            await api.post(f"/invoices/{invoice['id']}/pay")
        assert refused.value.status == 409
        draft = await api.post("/invoices", {**INVOICE, "number": "F-2"})
        await api.delete(f"/invoices/{draft['id']}")

        async def all_there() -> bool:
            both = [len(await received(api, each)) for each in (defacto, ahoy)]
            return both == [5, 6]

        await until(all_there, tmp_path / "log")
        bodies = [body for body in await received(api, defacto) if body["id"] == invoice["id"]]
        told = {body["transition_name"]: body for body in bodies}
        # The application's API writes a Decimal as text, an event's payload as a number.
        numbers = [{**state, "total": float(state["total"])} for state in states]
        assert [
            told[name]["entity_state"] for name in ("CREATE", "SUBMIT", "VERIFY", "PAY")
        ] == numbers
        assert told["PAY"]["event_type"] == "Invoice.PAID"
        assert told["PAY"]["entity_type"] == "invoice"
        types = sorted(body["type"] for body in await received(api, ahoy))
        assert types == ["invoice.created"] * 2 + ["invoice.deleted"] + ["invoice.updated"] * 3


def calls_of_the_readme() -> list[tuple[str, str]]:
    """Return the paths and bodies of the README's requests."""
    text = (EXAMPLES / "invoicing" / "README.md").read_text("utf-8")
    return re.findall(r"^post http://127\.0\.0\.1:8000(\S+) +-d '(.*?)'", text, re.MULTILINE)


async def test_invoicing_goes_on_where_it_was_killed_with_the_calls_of_the_readme_on_postgresql(
    tmp_path: Path,
) -> None:
    *calls, (submit, nothing) = calls_of_the_readme()
    known: dict[str, str] = {}
    bin_id, answer = "", {"id": ""}
    async with database(migrated=False) as url:
        settings = {"DATABASE": url.replace("postgresql:", "postgresql+psycopg:")}
        async with invoicing(tmp_path, 0, settings, signal.SIGKILL) as api:
            for path, body in calls:
                for name, value in known.items():
                    body = body.replace(f'"{name}"', f'"{value}"')
                answer = await api.post(path, msgspec.json.decode(body))
                if path == "/customers":
                    known["ACCOUNT"] = answer["defacto_account"]
                elif path.endswith("/bins"):
                    known["URL"], bin_id = answer["url"], answer["id"]
        async with invoicing(tmp_path, urlsplit(api.server).port or 0, settings) as api:
            await api.post(submit.replace("INVOICE", answer["id"]), msgspec.json.decode(nothing))

            async def both_there() -> bool:
                told = [body["transition_name"] for body in await received(api, bin_id)]
                return {"CREATE", "SUBMIT"} == set(told)

            await until(both_there, tmp_path / "log")
