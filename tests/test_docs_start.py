"""Follows docs/fastapi.md and docs/django.md from the first block to the last.

Each file is written and each command is run exactly as shown. Only the interpreter, the ports and
the secret are replaced. Commands that install packages are not run.
"""

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pagekit import Block, blocks, statements
from ports import free_port

FILE = re.compile(r"# (add to )?([\w./]+)\n")
SERVES = ("uvicorn", "consumer.py")
INSTALLS = ("python3 -m venv", "pip install", "cd ")
PATIENCE = 120


@pytest.mark.parametrize("page", ["docs/fastapi.md", "docs/django.md"])
async def test_following_the_page_leads_to_a_verified_event_and_a_portal(
    page: str, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    async with AsyncExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for block in blocks(page=page):
            if named := FILE.match(block.text):
                reader.write(named[2], block.text, at_the_end=bool(named[1]))
            else:
                await reader.run(block)
        assert await reader.said("consumer.py", 'verified: evt_.*"total":"12.10"')
        shown = await reader.shell("curl -sS http://127.0.0.1:8000/customers/customer-1/webhooks")
        [link] = re.findall(r'<iframe src="(http://127\.0\.0\.1:\d+/hooktide/portal/[^"]+)"', shown)
        assert "http://127.0.0.1:" in await reader.shell(f"curl -sSL {link}")


def test_the_tests_that_are_shown_pass() -> None:
    ran = 0
    for block in blocks("python", page="docs/testing.md"):
        names: dict[str, Any] = {}
        exec(block.text, names)
        for name, value in names.items():
            if name.startswith("test_"):
                value()
                ran += 1
    assert ran == 4


class Reader:
    """Follows a page in its own folder. The processes it starts end with the stack."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {8000: free_port(), 9000: free_port()}
        self._set: dict[str, str] = {}
        self._secret = ""
        self._running: dict[str, Process] = {}

    def write(self, name: str, text: str, *, at_the_end: bool) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a" if at_the_end else "w") as file:
            file.write(self._filled_in(text))

    async def run(self, block: Block) -> None:
        for command in statements(block):
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                self._set[name] = value.replace("whsec_...", self._secret)
            elif any(word in command for word in INSTALLS):
                continue
            elif any(word in command for word in SERVES):
                await self._start(command)
            else:
                said = await self.shell(command)
                if found := re.search(r'"whsec":\s*"([^"]+)"', said):
                    self._secret = found[1]

    async def _start(self, command: str) -> None:
        name = command.split()[-1]
        serves = "uvicorn" in command
        more = f" --port {self._ports[8000]}" if serves else ""
        self._running[name] = await self._stack.enter_async_context(
            self._process(f"exec {command}{more}")
        )
        await self._answered(self._running[name], self._ports[8000 if serves else 9000])

    async def _answered(self, ran: Process, port: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    assert ran.returncode is None, await ran.communicate()
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def said(self, name: str, pattern: str) -> bool:
        """Read a program's output until a line matches."""
        output = self._running[name].stdout
        assert output is not None
        async with asyncio.timeout(PATIENCE):
            while line := await output.readline():
                if re.search(pattern, line.decode()):
                    return True
        return False

    async def shell(self, command: str) -> str:
        async with self._process(
            f"set -e\n{command.replace('curl ', 'curl --fail-with-body ')}"
        ) as ran:
            async with asyncio.timeout(PATIENCE):
                output, _ = await ran.communicate()
        assert ran.returncode == 0, f"{command}\n{output.decode()}"
        return output.decode()

    @asynccontextmanager
    async def _process(self, command: str) -> AsyncIterator[Process]:
        binaries = Path(sys.executable).parent
        ran = await asyncio.create_subprocess_exec(
            *("bash", "-c", self._filled_in(command.replace(".venv/bin/", f"{binaries}/"))),
            cwd=self._folder,
            env=os.environ | self._set | {"PYTHONUNBUFFERED": "1"},
            stdout=PIPE,
            stderr=STDOUT,
        )
        try:
            yield ran
        finally:
            if ran.returncode is None:
                ran.terminate()
                await ran.communicate()

    def _filled_in(self, text: str) -> str:
        for port, own in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}")
        return text.replace('("127.0.0.1", 9000)', f'("127.0.0.1", {self._ports[9000]})')
