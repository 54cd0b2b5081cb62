"""The clients have each operation of the API once. No server is needed."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webkit import running

import hooktide
from hooktide.client import Client, NewEvent
from hooktide.client.requests import Request
from hooktide.client.transport import Area


async def test_the_client_has_each_operation_of_the_api_and_no_other(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        document = (await site.operator.get("/openapi.json")).ok()
    wanted = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    with Client("http://127.0.0.1:9", "htk_x") as client:
        asked = {(request.method, _template(request.path)) for request in _requests(client)}
    assert asked == {(method, _template(path)) for method, path in wanted}


def _requests(client: Client) -> Iterator[Request[Any]]:
    """Yield a request of each method, with ``x`` for its arguments."""
    for area in (client, *vars(client).values()):
        for name, method in inspect.getmembers(type(area), inspect.isfunction):
            describe = inspect.unwrap(method)
            if isinstance(area, Area) and describe is not method:
                needed = [
                    GIVEN.get(f"{name}.{each.name}", "x")
                    for each in inspect.signature(method).parameters.values()
                    if each.default is inspect.Parameter.empty
                    and each.name != "self"
                    and each.kind is not inspect.Parameter.KEYWORD_ONLY
                ]
                more = {"account": "x"} if name == "check" else {}
                described = describe(area, *needed, **more)
                yield described if isinstance(described, Request) else next(described)


EVENT = NewEvent(account="x", type="x", payload={})
GIVEN: dict[str, Any] = {"publish.event": EVENT, "publish_many.events": [EVENT]}


def _template(path: str) -> str:
    return re.sub("(?<=/)(x|{[a-z_]+})(?=/|$)", "{}", path.partition("?")[0])


def test_importing_the_client_imports_no_server_and_the_server_no_client() -> None:
    loaded = _loaded_by("hooktide.client")
    assert "httpx" in loaded
    for name in ("starlette", "uvicorn", "apsw", "asyncpg", "jinja2", "structlog"):
        assert name not in loaded, name
    ours = {name for name in loaded if name.startswith("hooktide.")}
    assert {name.split(".")[1] for name in ours} == {"client", "domain", "wire"}
    assert "httpx" not in _loaded_by("hooktide.app")


def _loaded_by(module: str) -> list[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


def test_the_package_has_both_clients_and_says_what_it_has_not() -> None:
    assert hooktide.Client.__name__ == "Client"
    assert hooktide.AsyncClient.__name__ == "AsyncClient"
    with pytest.raises(AttributeError, match="Cliant"):
        hooktide.Cliant  # type: ignore[attr-defined]  # noqa: B018
    stub = Path(hooktide.__file__).with_suffix(".pyi").read_text()
    assert "AsyncClient" in stub
