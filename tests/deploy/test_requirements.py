"""requirements/ matches pyproject.toml, down to the version and the hash.

No package index is contacted: the locked versions are installed here, and their metadata lists
their dependencies.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUN: list[str] = PROJECT["project"]["dependencies"]
DECLARED = {
    "build": PROJECT["build-system"]["requires"],
    "run": RUN,
    "server": [*RUN, *EXTRAS["postgres"], *EXTRAS["otel"]],
    "dev": [*RUN, *EXTRAS["dev"]],
    "docs": [*RUN, *EXTRAS["docs"]],
    "tools": PROJECT["dependency-groups"]["tools"],
}
PYTHONS = ("3.11", "3.12", "3.13")
RENEW = "run `make lock`"

Environment = dict[str, str]


def on(python: str) -> Environment:
    found: Environment = {key: str(value) for key, value in default_environment().items()}
    return {**found, "python_version": python, "python_full_version": f"{python}.9", "extra": ""}


def entries(name: str) -> list[tuple[Requirement, list[str]]]:
    """Return the pinned requirements of a file, with their hashes."""
    text = (REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [
        (Requirement(line.partition(" --hash")[0]), re.findall(r"--hash=(\S+)", line))
        for line in lines
    ]


def locked(name: str, python: str) -> dict[str, str]:
    """Return the versions that a file installs on a version of Python."""
    environment = on(python)
    return {
        canonicalize_name(each.name): next(iter(each.specifier)).version
        for each, _ in entries(name)
        if each.marker is None or each.marker.evaluate(environment)
    }


def asked(lines: list[str], python: str) -> Iterator[Requirement]:
    """Yield the requirements and their dependencies, as far as they are installed here."""
    waiting = [(Requirement(line), "") for line in lines]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        environment = {**on(python), "extra": extra}
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        name = canonicalize_name(requirement.name)
        if name == "hooktide":
            waiting += [
                (Requirement(line), "") for each in requirement.extras for line in EXTRAS[each]
            ]
            continue
        yield requirement
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(line), wanted) for line in needs(name)]


def needs(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:  # of another Python, or of `make lock`
        return []


def test_each_file_is_known() -> None:
    assert {each.stem for each in REQUIREMENTS.iterdir()} == set(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_a_lock_pins_and_hashes_everything_and_names_no_place(name: str) -> None:
    for requirement, hashes in entries(name):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    assert not re.search(r"://|--(?!hash=)|^/", text, re.MULTILINE)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", DECLARED)
def test_a_lock_has_what_the_project_asks_for(name: str, python: str) -> None:
    have = locked(name, python)
    for requirement in asked(DECLARED[name], python):
        version = have.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is missing: {RENEW}"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {RENEW}"


@pytest.mark.parametrize("name", ["build", "run", "server", "dev"])
def test_a_lock_has_nothing_else(name: str) -> None:
    python = "{}.{}".format(*sys.version_info)
    names = {canonicalize_name(each.name) for each in asked(DECLARED[name], python)}
    assert set(locked(name, python)) == names, RENEW


@pytest.mark.parametrize("name", [each for each in DECLARED if each != "dev"])
def test_what_is_locked_twice_is_the_same_version(name: str) -> None:
    everything = {each.name: str(each.specifier) for each, _ in entries("dev")}
    for each, _ in entries(name):
        assert str(each.specifier) == everything.get(each.name, str(each.specifier))
