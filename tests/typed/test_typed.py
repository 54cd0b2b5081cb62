"""``py.typed`` works for users: strict mypy and pyright accept programs with the public API.

The program is outside of this repository and has its own configuration, as a user's would. Hooktide
is imported as an installed package.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("public_api.py")
EXAMPLES = sorted((ROOT / "examples").glob("*/*.py"))
MODULES = ROOT / "tests/generated/node_modules"
CACHE = ("--cache-dir", str(ROOT / "build/mypy"))
"""For what is read of others: the standard library, and what Hooktide needs."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the examples and a file that uses the public API."""
    assert EXAMPLES
    for file in (PROGRAM, *EXAMPLES):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_mypy_knows_the_types(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", *CACHE, "."],
        cwd=program,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_knows_the_types(program: Path) -> None:
    pyright = MODULES / ".bin/pyright"
    if shutil.which("node") is None or not pyright.exists():
        pytest.skip("needs node, and `npm ci --prefix tests/generated`")
    (program / "pyrightconfig.json").write_text(json.dumps({"include": ["."]}))
    done = subprocess.run(
        [pyright, "--pythonpath", sys.executable],
        cwd=program,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
