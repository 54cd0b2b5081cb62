"""The package as it would be uploaded: complete, and usable with its declared dependencies."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from apikit import Api, ApiError
from packaging.requirements import Requirement
from ports import free_port
from processkit import send
from readme_renderer import markdown
from serverkit import KEY, READY_TIMEOUT

from hooktide import __version__

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/hooktide"
WHEEL = f"hooktide-{__version__}-py3-none-any.whl"
SDIST = f"hooktide-{__version__}.tar.gz"


def hatchling(project: Path, out: Path, *targets: str) -> None:
    options = [word for target in targets for word in ("-t", target)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out), *options],
        cwd=project,
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, from ``make release`` or built here."""
    if released := os.environ.get("HOOKTIDE_DIST"):
        return Path(released)
    out = tmp_path_factory.mktemp("dist")
    hatchling(ROOT, out, "sdist", "wheel")
    return out


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        text = wheel.read(f"hooktide-{__version__}.dist-info/METADATA").decode()
    return Parser().parsestr(text)


def in_wheel(file: Path) -> set[str]:
    with zipfile.ZipFile(file) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_has_every_file_of_the_source_and_no_other(built: Path) -> None:
    source = {
        f"hooktide/{file.relative_to(SOURCE)}"
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert in_wheel(built / WHEEL) == source
    kinds = {Path(name).suffix for name in source}
    assert kinds >= {".py", ".sql", ".toml", ".html", ".css", ".js", ".typed", ".j2"}


def test_the_sdist_makes_the_same_wheel_and_leaves_out_what_was_built(
    built: Path, tmp_path: Path
) -> None:
    with tarfile.open(built / SDIST) as sdist:
        names = sdist.getnames()
        sdist.extractall(tmp_path, filter="data")
    assert not [name for name in names if re.search(r"\.venv|\.pyc$|\.db$|/dist/|/\.git/", name)]
    inside = {name.partition("/")[2] for name in names}
    assert inside >= {"Makefile", "LICENSE", "deploy/Dockerfile", "docs/watching.md", "SECURITY.md"}
    assert inside >= {f"requirements/{name}.txt" for name in ("run", "dev", "build")}
    hatchling(tmp_path / SDIST.removesuffix(".tar.gz"), tmp_path, "wheel")
    assert in_wheel(tmp_path / WHEEL) == in_wheel(built / WHEEL)


def test_it_says_what_an_index_shows(metadata: Message) -> None:
    assert metadata["Name"] == "hooktide"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"postgres", "otel"} <= set(metadata.get_all("Provides-Extra", []))
    classifiers = metadata.get_all("Classifier", [])
    assert "Typing :: Typed" in classifiers
    assert not [each for each in classifiers if each.startswith("License ::")]  # PEP 639


def test_its_page_renders(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = markdown.render(str(metadata.get_payload()))
    assert page is not None
    assert ">Hooktide<" in page
    assert "<table>" in page


def needed(metadata: Message) -> dict[str, Distribution]:
    """Return the package's dependencies without extras, and their dependencies."""
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(line), "") for line in metadata.get_all("Requires-Dist", [])]
    while waiting:
        requirement, extra = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name in found and not requirement.extras:
            continue
        made = found[name] = distribution(name)
        assert requirement.specifier.contains(made.version, prereleases=True)
        lines = [Requirement(line) for line in made.requires or ()]
        waiting += [(line, each) for line in lines for each in ("", *requirement.extras)]
    return found


@pytest.fixture(scope="module")
def installed(built: Path, metadata: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and its dependencies in a new environment. Return its ``bin`` folder."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    python = home / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-index", str(built / WHEEL)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    [packages] = home.glob("lib/python*/site-packages")
    for made in needed(metadata).values():
        for name in {file.parts[0] for file in made.files or () if file.parts[0] != ".."}:
            if name != "__pycache__" and not (packages / name).exists():
                (packages / name).symlink_to(Path(str(made.locate_file(name))))
    return home / "bin"


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_program_is_there_and_runs_from_the_wheel(installed: Path) -> None:
    assert run(installed / "hooktide", "--version").stdout.strip() == __version__
    where = run(installed / "python", "-c", "import hooktide; print(hooktide.__file__)").stdout
    assert where.startswith(str(installed.parent))
    assert "invoice-ahoy" in run(installed / "hooktide", "providers").stdout


async def test_a_server_starts_with_nothing_but_what_is_declared(
    installed: Path, tmp_path: Path
) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        installed / "hooktide",
        *("serve", "--listen", f"127.0.0.1:{port}"),
        cwd=tmp_path,
        env=os.environ | {"HOOKTIDE_OPERATOR_KEY": KEY},
        stderr=asyncio.subprocess.PIPE,
    )
    api = Api(f"http://127.0.0.1:{port}", KEY)
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            while True:
                assert process.returncode is None
                try:
                    await api.get("/health/ready")
                    break
                except ApiError:
                    await asyncio.sleep(0.05)
        assert run(
            installed / "hooktide", "apply", "invoice-ahoy", "--server", api.server, "--key", KEY
        ).stdout
        for path in ("/openapi.json", "/v1/projects/invoice-ahoy"):
            assert await api.get(path)
    finally:
        send(process, signal.SIGKILL)
        await process.communicate()


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        (("--database", "postgresql://x@127.0.0.1/x", "--key-file", "{folder}/key"), "postgres"),
        (("--database", "{folder}/x.db", "--traces"), "otel"),
    ],
)
def test_what_needs_an_extra_says_which(
    installed: Path, tmp_path: Path, options: tuple[str, ...], extra: str
) -> None:
    given = [each.format(folder=tmp_path) for each in options]
    done = run(installed / "hooktide", "serve", "--listen", "127.0.0.1:0", *given)
    assert done.returncode == 2
    assert f"pip install 'hooktide[{extra}]'" in done.stderr
