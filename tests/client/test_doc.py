"""Every program in docs/client.md runs verbatim, one after another."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from clientkit import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOC = Path(__file__).parent.parent.parent / "docs/client.md"


async def test_every_program_of_the_guide_runs(place: Place, tmp_path: Path) -> None:
    text = DOC.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == text.count("```") // 2
    program = "\n".join(blocks).replace('Client("http://127.0.0.1:8080", "htk_...")', "Client()")
    (tmp_path / "guide.py").write_text(program)
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(tmp_path / "guide.py"),
        env=os.environ | place.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        output, _ = await run.communicate()
    said = output.decode()
    assert run.returncode == 0, said
    assert "no.such.type" in said
    assert "delivered 200" in said
    assert "invalid_url 10.0.0.1 is not a public address" in said
