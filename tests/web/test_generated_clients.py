"""Clients that are generated from the OpenAPI document pass type checks, and work.

The TypeScript generator needs ``npm ci`` in ``tests/generated``.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio
from apikit import api_of
from pagekit import blocks

from hooktide.cli.demo.server import DemoServer

GENERATED = Path(__file__).parents[1] / "generated"
TIMEOUT = 240
"""Seconds for one program on a slow and busy machine."""
PUBLIC_URL = "https://hooks.shop.test"
PROJECT = 'name = "shop"\n[event_types."invoice.paid"]\n'

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DemoServer]:
    async with DemoServer(tmp_path_factory.mktemp("server")) as running:
        await api_of(running).put_toml("/v1/projects/shop", PROJECT)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(server: DemoServer) -> dict[str, Any]:
    found: dict[str, Any] = await api_of(server).get("/openapi.json")
    return found


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Return a folder with the npm packages."""
    modules = GENERATED / "node_modules"
    if shutil.which("node") is None or not modules.exists():
        pytest.skip("needs node, and `npm ci --prefix tests/generated`")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


PYTHON = dedent("""
    import io
    import json
    import os

    from hooktide_api import AuthenticatedClient
    from hooktide_api.api.accounts import create_account
    from hooktide_api.api.bins import create_bin, list_bin_requests
    from hooktide_api.api.deliveries import list_deliveries
    from hooktide_api.api.endpoints import create_endpoint
    from hooktide_api.api.events import get_event, publish_event
    from hooktide_api.api.projects import put_project
    from hooktide_api.models import (
        Account, AccountIn, Bin, DeliveryList, EndpointIn, EndpointCreated, EventAccepted, EventIn,
        BinRequestList, NewBin, Problem, ProjectApplied,
    )
    from hooktide_api.types import File

    client = AuthenticatedClient(os.environ["HOOKTIDE_SERVER"], os.environ["HOOKTIDE_KEY"])
    file = File(io.BytesIO(os.environ["PROJECT"].encode()))
    applied = put_project.sync("shop", client=client, body=file)
    assert isinstance(applied, ProjectApplied), applied
    account = create_account.sync(client=client, body=AccountIn("py", project="shop"))
    assert isinstance(account, Account), account
    made = create_bin.sync(client=client, body=NewBin())
    assert isinstance(made, Bin)
    endpoint = create_endpoint.sync(client=client, body=EndpointIn(made.url, ["*"], account="py"))
    assert isinstance(endpoint, EndpointCreated), endpoint
    event = EventIn("py", "invoice.paid", {"id": 1})
    accepted = publish_event.sync(client=client, body=event)
    assert isinstance(accepted, EventAccepted), accepted
    listed = list_deliveries.sync(client=client, account="py", limit=10)
    assert isinstance(listed, DeliveryList)
    [delivery] = listed.items
    missing = get_event.sync("evt_0", client=client)
    assert isinstance(missing, Problem)
    requests = list_bin_requests.sync(made.id, client=client)
    assert isinstance(requests, BinRequestList)
    print(json.dumps({
        "endpoint": delivery.endpoint == endpoint.id,
        "event": delivery.event == accepted.id,
        "created": delivery.created_at.year >= 2025,
        "missing": missing.type_,
        "requests": requests.next_cursor,
    }))
""")
WORKS = {
    "endpoint": True,
    "event": True,
    "created": True,
    "missing": "/problems/not_found",
    "requests": None,
}


async def test_a_client_in_python_passes_mypy_and_works(
    server: DemoServer, document: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    [config] = [block.text for block in blocks("yaml") if block.page == "docs/api.md"]
    (tmp_path / "config.yaml").write_text(f"post_hooks: []\n{config}")
    (tmp_path / "program.py").write_text(PYTHON)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    generator = str(Path(sys.executable).with_name("openapi-python-client"))
    options = "--path openapi.json --config config.yaml --meta none --output-path hooktide_api"
    await run([generator, "generate", *options.split(), "--fail-on-warning"], tmp_path)
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(GENERATED.parents[1] / "build/mypy")]
    await run([*mypy, "hooktide_api", "program.py"], tmp_path)
    assert json.loads(await run([sys.executable, "program.py"], tmp_path, server)) == WORKS


async def test_a_client_in_typescript_passes_tsc_and_works(
    server: DemoServer, document: dict[str, Any], node: Path
) -> None:
    (node / "openapi.json").write_text(json.dumps(document))
    shutil.copy(GENERATED / "program.ts", node)
    programs = node / "node_modules" / ".bin"
    await run([str(programs / "openapi-typescript"), "openapi.json", "-o", "api.ts"], node)
    options = "--strict --target es2022 --module nodenext --skipLibCheck false"
    await run([str(programs / "tsc"), *options.split(), "program.ts"], node)
    assert json.loads(await run(["node", "program.js"], node, server)) == WORKS


async def test_the_document_passes_redoclys_recommended_rules(
    document: dict[str, Any], node: Path
) -> None:
    public = document | {"servers": [{"url": PUBLIC_URL}]}
    (node / "openapi.json").write_text(json.dumps(public))
    shutil.copy(GENERATED / "lint.mjs", node)
    assert await run(["node", "lint.mjs", "openapi.json"], node) == ""
    # Check that the linter finds an error in an invalid document.
    del public["info"]["license"]
    (node / "openapi.json").write_text(json.dumps(public))
    assert "info-license" in await run(["node", "lint.mjs", "openapi.json"], node)


async def run(command: list[str], folder: Path, server: DemoServer | None = None) -> str:
    """Run a program, check that it succeeds, and return its output."""
    environment: Mapping[str, str] = os.environ
    if server is not None:
        environment = os.environ | {
            "HOOKTIDE_SERVER": server.url,
            "HOOKTIDE_KEY": server.key,
            "PROJECT": PROJECT,
        }
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
