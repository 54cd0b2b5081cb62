"""Consumers written from the providers' guides, each in its own process.

``consumer.mjs``, ``consumer.php`` and ``consumer.py`` are what a reader of a guide would write;
``GUIDES`` says which guide asks for which. A consumer ends when its standard input closes, so none
outlives the process that started it.
"""

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

START_TIMEOUT = 15.0
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Guide:
    """How a provider's guide tells its readers to verify.

    ``program`` runs the language of the guide's example; ``header`` holds its signature; a dialect
    without one uses the Standard Webhooks headers, verified with the secret's ``whsec`` form.
    """

    header: str
    program: str = ""
    script: str = ""

    @property
    def secret_form(self) -> str:
        """Which of the two forms of the secret the consumer wants: ``text`` or ``whsec``."""
        return "text" if self.header else "whsec"

    @property
    def language(self) -> str:
        """The language that its consumer is run in on this machine."""
        return self.program if self.program and shutil.which(self.program) else "python"

    @property
    def command(self) -> list[str]:
        """The command line of its consumer; Python where the guide's language is missing."""
        if self.language != "python":
            return [self.program, str(_FOLDER / self.script), self.header]
        scheme = ["hmac", self.header] if self.header else ["standard"]
        return [sys.executable, str(_FOLDER / "consumer.py"), *scheme]


GUIDES: Mapping[str, Guide] = {
    "invoice-ahoy": Guide("x-ia-signature", "node", "consumer.mjs"),
    "offerte-adviseur": Guide("x-offerte-adviseur-signature", "php", "consumer.php"),
    "house-check": Guide("signature", "node", "consumer.mjs"),
    "invoice-maker": Guide("x-invoice-maker-signature"),
    "defacto": Guide(""),
}


class Consumer:
    """A running consumer; use it as an async context manager."""

    def __init__(self, guide: Guide) -> None:
        self.guide = guide
        self.url = ""
        self._process: Process | None = None

    async def __aenter__(self) -> "Consumer":
        # Its own session: Ctrl-C at the terminal must reach only the process that started the
        # consumer.
        self._process = await asyncio.create_subprocess_exec(
            *self.guide.command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        self.url = f"http://127.0.0.1:{(await self.next_line())['listening']}/webhooks"
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        if process.returncode is None:
            process.terminate()
        await process.wait()

    async def use(self, secret: Mapping[str, str]) -> None:
        """Give it the secret, as the API showed it; from now on it verifies with this one."""
        stdin = self._running.stdin
        if stdin is not None:
            stdin.write(secret[self.guide.secret_form].encode() + b"\n")
            await stdin.drain()
        while "ready" not in await self.next_line():
            pass

    async def next_line(self) -> dict[str, Any]:
        """Return the next line it prints: of a webhook, its type, id, delivery and verified.

        :raises TimeoutError: it stays silent.
        """
        stdout = self._running.stdout
        async with asyncio.timeout(START_TIMEOUT):
            line = await stdout.readline() if stdout is not None else b""
        if not line:
            raise ConnectionError(f"the consumer ended: {' '.join(self.guide.command)}")
        return msgspec.json.decode(line, type=dict[str, Any])

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError("use the consumer inside its context")
        return self._process
