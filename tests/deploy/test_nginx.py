"""Runs nginx with the shipped configuration in front of a server.

Only addresses and files differ.
"""

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from accounting import Ledger
from certs import chain
from ports import free_port
from processkit import kill
from serverkit import READY_TIMEOUT, event, receiving, request, serving, set_up

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx/hooktide.conf"
AROUND = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {inner}
}}
"""


@asynccontextmanager
async def proxied(folder: Path, behind: int) -> AsyncIterator[int]:
    """Run nginx in front of the server at a port. Return nginx's port."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("needs nginx")
    port = free_port()
    (folder / "cert.pem").write_bytes(chain(None, "hooks.example.com"))
    inner = CONFIGURATION.read_text()
    for old, new in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("127.0.0.1:8080", f"127.0.0.1:{behind}"),
        ("/var/log/nginx/hooktide.log", f"{folder}/access.log"),
        ("/etc/ssl/hooks.example.com.pem", f"{folder}/cert.pem"),
        ("/etc/ssl/hooks.example.com.key", f"{folder}/cert.pem"),
    ):
        assert old in inner
        inner = inner.replace(old, new)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, inner=inner))
    process = await asyncio.create_subprocess_exec(program, "-c", str(folder / "nginx.conf"))
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            while not await answers(port):
                assert process.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield port
    finally:
        await kill(process)


async def answers(port: int) -> bool:
    try:
        return bool(await asked(port, request("GET", "/")))
    except ConnectionError:
        return False


async def asked(port: int, data: bytes) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(data)
        async with asyncio.timeout(READY_TIMEOUT):
            return await reader.read(-1)
    finally:
        writer.close()


async def test_large_batches_pass_and_the_servers_numbers_stay_inside(tmp_path: Path) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",))
        async with proxied(tmp_path, server.port) as port:
            batch = [event(account, {"text": "x" * 100_000}) for _ in range(30)]
            answer = await asked(port, request("POST", "/v1/events", json.dumps(batch).encode()))
            assert answer.startswith(b"HTTP/1.1 202 ")
            for path in ("/metrics", "/health/live", "/health/ready"):
                assert (await asked(port, request("GET", path))).startswith(b"HTTP/1.1 404 ")
            assert (await asked(port, request("GET", "/v1/events"))).startswith(b"HTTP/1.1 200 ")
            await asked(port, request("GET", "/portal/AQsecret"))
            await asked(port, request("GET", "/dashboard/login/secret"))
    log = (tmp_path / "access.log").read_text()
    assert "/v1/events" in log
    assert "secret" not in log
