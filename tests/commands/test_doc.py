"""Runs every line of docs/command-line.md verbatim."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from clientkit import Place
from commandkit import Running, going, hooktide
from foreignkit import TOKEN, convoy, standing_in, svix

from hooktide import Client
from hooktide.cli.foreign import from_csv
from hooktide.dialects import read_shipped
from hooktide.domain.dialect.signing import read_secret
from hooktide.domain.project.reading import parse_project

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOC = Path(__file__).parent.parent.parent / "docs/command-line.md"
TEXT = DOC.read_text()
INDEX = 'index = ["invoice.number"]\n'
REFUSES = {"import svix", "import convoy"}
"""The stand-ins have an endpoint of a type that nobody knows, and one that names no account."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


async def test_each_command_of_the_guide_runs(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in _things(place).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "endpoints.csv").write_text(blocks("csv")[0])
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    with standing_in(svix) as at_svix, standing_in(convoy) as at_convoy:
        monkeypatch.setenv("SVIX", at_svix)
        monkeypatch.setenv("CONVOY", at_convoy)
        monkeypatch.setenv("HOOKTIDE_SOURCE_TOKEN", TOKEN)
        commands = [line for line in lines if not line.startswith("export ")]
        assert len(commands) > 15
        for line in commands:
            await _run(line, tmp_path, place)


def _things(place: Place) -> dict[str, str]:
    """Create the objects in the guide, and a request as a receiver would store it."""
    with Client(place.url, place.key) as client:
        client.projects.apply("invoice-maker", INDEX + read_shipped("invoice-maker"))
        kept = client.bins.create()
        hook = client.endpoints.create(kept.url, ["*"], account="acme")
        tested = client.endpoints.test(hook.id)
        [request] = client.bins.requests(kept.id)
        headers = "".join(f"{name}: {value}\n" for name, value in request.headers)
        Path("headers.txt").write_text(headers)
        Path("body.json").write_bytes(client.bins.body(kept.id, request.id))
        erased = client.accounts.create("customer-42", project="invoice-maker")
        return {
            "ENDPOINT": hook.id,
            "EVENT": tested.event,
            "DELIVERY": tested.delivery,
            "ERASED": erased.id,
            "SECRET": hook.secret.text,
            "WHSEC": hook.secret.whsec,
            "XDG_STATE_HOME": str(Path.cwd()),
        }


async def _run(line: str, folder: Path, place: Place) -> None:
    if line.startswith("eval"):
        script = os.path.expandvars(line) + "\ncomplete -p hooktide"
        environment = os.environ | {"PATH": f"{_binaries()}:{os.environ['PATH']}"}
        said = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert "_hooktide" in said.stdout
        return
    if line.startswith("hooktide accounts "):  # its --wait takes minutes
        line = line.replace(" --wait", "").replace("acc_0c8f1e5a3b2d4800", "$ERASED")
    command, _, file = line.partition(" < ")
    name, *words = shlex.split(os.path.expandvars(command), comments=True)
    assert name == "hooktide", line
    if words[0] in {"tail", "listen"}:
        async with going(folder, *words, **place.environment) as running:
            await running.until(_has_begun)
            assert await running.interrupt() == 0
        return
    done = hooktide(*words, typed=Path(file).read_bytes() if file else b"")
    allowed = {0, 1} if " ".join(words[:2]) in REFUSES else {0}
    assert done.code in allowed, (line, done)


def _has_begun(running: Running) -> bool:
    return bool(running.out or "Ctrl-C" in running.err)


def _binaries() -> Path:
    return Path(sys.executable).parent


async def test_the_files_of_the_guide_are_read(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(blocks("csv")[0])
    first, second = from_csv(str(tmp_path / "e.csv"))
    assert (first.event_types, first.enabled) == (("invoice.paid", "invoice.created"), True)
    assert (second.event_types, second.enabled) == (("*",), False)
    for found in (first, second):
        assert read_secret(found.secret).key
    types = '\n[event_types."a.b"]\n'
    project = parse_project('name = "x"\n' + blocks("toml")[0] + types)
    assert project.dialect.signature is not None
    assert project.dialect.signature.header == "X-Convoy-Signature"


async def test_the_headers_of_the_guide_are_read_as_they_are_shown(tmp_path: Path) -> None:
    [shown] = blocks("http")
    pasted = "> POST /hook HTTP/1.1\n" + "".join(f"> {line}\n" for line in shown.splitlines())
    for text in (shown, pasted):
        (tmp_path / "headers.txt").write_text(text)
        (tmp_path / "body").write_bytes(b"{}")
        said = hooktide(
            *("verify", "standard-webhooks", "--headers", str(tmp_path / "headers.txt")),
            *("--body", str(tmp_path / "body"), "--any-age", "--secret", "whsec_" + "A" * 32),
        )
        assert said.code == 1
        assert "matches no active secret" in said.out  # so all three were found


async def test_every_block_of_the_guide_is_looked_at() -> None:
    counted = [len(blocks(language)) for language in ("sh", "csv", "toml", "http")]
    assert TEXT.count("```") == 2 * (sum(counted) + 1)
    assert "It matches without the trailing line end: an editor" in TEXT
