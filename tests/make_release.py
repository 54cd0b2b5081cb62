"""``make release``: builds a release, checks it, and dates its section of the changelog.

The version is the package's ``__version__``. The distributions are built in ``dist/`` of a clean
working tree. ``deploy/test_package.py`` checks their contents, and the wheel runs the demo in a new
environment with the locked dependencies. Nothing is uploaded.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, date, datetime
from pathlib import Path

from hooktide import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CHANGELOG = ROOT / "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """The release cannot be made. The message says why."""


def dated(changelog: str, version: str, day: date) -> str:
    """Return the changelog with the unreleased section turned into the section of a version.

    :raises ReleaseError: if nothing is unreleased, or the version was already released.
    """
    if re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        raise ReleaseError(f"{version} is released: raise __version__ in src/hooktide/__init__.py")
    before, heading, after = changelog.partition(UNRELEASED)
    if not heading or not re.search(r"^- ", after.partition("\n## ")[0], re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md has nothing below {UNRELEASED.strip()!r}")
    return f"{before}{UNRELEASED}\n## {version} - {day.isoformat()}\n{after}"


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a command, and show what it prints.

    :raises ReleaseError: if it fails.
    """
    print("+", *command, flush=True)
    if subprocess.run(command, cwd=cwd, env=os.environ | environment, check=False).returncode:
        raise ReleaseError(f"{command[0]} failed")


def check_in_clean_environment(folder: Path) -> None:
    """Install the wheel with the locked dependencies, and run the demo."""
    venv.create(folder / "venv", with_pip=True)
    pip = (folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "-q")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements/run.txt")
    [wheel] = DIST.glob("*.whl")
    run(*pip, "--no-index", "--no-deps", wheel)
    run(folder / "venv/bin/hooktide", "--version", cwd=folder)
    run(folder / "venv/bin/hooktide", "demo", "--once", cwd=folder)


def build_and_check() -> None:
    """Build the distributions, check their contents, and run the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "-d", DIST, "-t", "sdist", "-t", "wheel")
    tests = [f"tests/deploy/test_{name}.py" for name in ("package", "requirements")]
    run(sys.executable, "-m", "pytest", "-q", *tests, HOOKTIDE_DIST=str(DIST))
    with tempfile.TemporaryDirectory() as folder:
        check_in_clean_environment(Path(folder))


def make() -> None:
    """Make a release of the committed state."""
    before = CHANGELOG.read_text()
    changelog = dated(before, __version__, datetime.now(UTC).date())
    if subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT):
        raise ReleaseError("commit what has changed first")
    CHANGELOG.write_text(changelog)  # the changelog is part of the distribution
    try:
        build_and_check()
    except BaseException:
        CHANGELOG.write_text(before)
        raise
    print(
        f"dist/ has {__version__}, and CHANGELOG.md has its section. Next:\n"
        f"  git commit -am 'Release {__version__}' && git tag -a v{__version__}\n"
        "  upload dist/* to the package index; raise __version__ and the chart's appVersion"
    )


if __name__ == "__main__":
    try:
        make()
    except ReleaseError as error:
        sys.exit(f"no release: {error}")
