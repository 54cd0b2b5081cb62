"""Runs the quickstart verbatim, except for the server's port, the key and a URL."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serverkit import KEY, Server, serving, until_none_is

PAGE = (Path(__file__).parents[1] / "docs/quickstart.md").read_text()
PRELUDE = "set -eu\n"


def commands() -> list[str]:
    """Return the quickstart's commands from the key on, and the function that they use."""
    [block] = [each for each in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "api " in each]
    return [line for line in block.splitlines() if line and not line.startswith("#")]


def run(server: Server, folder: Path, *lines: str) -> str:
    program = shlex.join([sys.executable, "-m", "hooktide"])
    text = PRELUDE + "\n".join(lines)
    text = text.replace(".venv/bin/hooktide", program).replace(":8080", f":{server.port}")
    done = subprocess.run(
        ["bash", "-c", text.replace("htk_...", KEY)],
        cwd=folder,
        env=os.environ | {"HOOKTIDE_SERVER": f"http://127.0.0.1:{server.port}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_start_leads_to_a_delivered_event(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    key, api, apply, account, new_bin, endpoint, publish, look = commands()
    async with serving(tmp_path) as server:

        async def made(command: str) -> str:
            return await asyncio.to_thread(run, server, tmp_path, key, api, command)

        assert (await made(apply)).startswith("invoice-maker: project added\n")
        assert json.loads(await made(account))["id"].startswith("acc_")
        url = json.loads(await made(new_bin))["url"]
        assert "URL-OF-THE-BIN" in endpoint
        assert json.loads(await made(endpoint.replace("URL-OF-THE-BIN", url)))["secret"]
        assert json.loads(await made(publish))["deliveries"] == 1
        await until_none_is(server.api, "pending")
        [delivery] = json.loads(await made(look))["items"]
        assert delivery["state"] == "delivered"
