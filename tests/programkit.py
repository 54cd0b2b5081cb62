"""Runs the programs that the docs show with the real interpreters and compilers, in batches.

A case is a tab-separated line: its name, the program's path, the secret, the body in base64, and
the headers as ``name:value`` with the value in base64, separated by spaces. ``programs/check.*``
read these lines and print a name and ``true`` or ``false`` for each.
"""

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooktide.web.pages.guide.programs import Language

HARNESSES = Path(__file__).parent / "programs"
TIMEOUT = 400
"""Seconds for a language's run on a slow and busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request to be checked by a program, and whether it should be accepted.

    ``write`` returns the program's source in a language.
    """

    name: str
    write: Callable[[Language], str]
    headers: Mapping[str, str]
    body: bytes
    secret: str
    right: bool


def is_installed(language: Language) -> bool:
    return all(shutil.which(name) for name in _NEEDS[language.key])


_NEEDS = {
    "javascript": ["node"],
    "php": ["php"],
    "python": [sys.executable],
    "ruby": ["ruby"],
    "go": ["go"],
    "java": ["java", "javac"],
}


def run(language: Language, cases: Sequence[Case], folder: Path) -> dict[str, bool]:
    """Return the results of a language's programs, by case name."""
    places = _write_programs(language, cases, folder)
    lines = folder / "cases.tsv"
    lines.write_text("".join(_line(case, places[case.write(language)]) for case in cases))
    output = "".join(_call(each, folder) for each in _commands(language, lines, places, folder))
    said = dict(line.split("\t") for line in output.splitlines())
    assert set(said.values()) <= {"true", "false"}, said
    return {name: value == "true" for name, value in said.items()}


def _write_programs(language: Language, cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """Write each program once, exactly as the docs show it. Return the paths by source text."""
    places: dict[str, str] = {}
    for text in dict.fromkeys(case.write(language) for case in cases):
        places[text] = f"p{len(places)}/{language.file}"
        path = folder / places[text]
        path.parent.mkdir()
        path.write_text(text)
    return places


def _line(case: Case, program: str) -> str:
    headers = " ".join(
        f"{name}:{_packed(value.encode('latin-1'))}" for name, value in case.headers.items()
    )
    return "\t".join([case.name, program, case.secret, _packed(case.body), headers]) + "\n"


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _commands(
    language: Language, lines: Path, places: Mapping[str, str], folder: Path
) -> list[list[str]]:
    match language.key:
        case "javascript":
            return [["node", str(HARNESSES / "check.mjs"), str(lines)]]
        case "php":
            harness = str(HARNESSES / "check.php")
            return [["php", harness, str(lines), program] for program in places.values()]
        case "python":
            return [[sys.executable, "-I", "-S", str(HARNESSES / "check.py"), str(lines)]]
        case "ruby":
            return [["ruby", "-w", str(HARNESSES / "check.rb"), str(lines)]]
        case "java":
            quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
            return [["java", *quick, str(HARNESSES / "Check.java"), str(lines)]]
        case _:
            return _go_commands(lines, places, folder)


def _go_commands(lines: Path, places: Mapping[str, str], folder: Path) -> list[list[str]]:
    """Combine all cases into one Go module, each program in its own package."""
    names = {program: program.partition("/")[0] for program in places.values()}
    imports = "".join(f'import {name} "check/{name}"\n' for name in names.values())
    table = "".join(f'\t"{program}": {name}.IsVerified,\n' for program, name in names.items())
    listing = f"package main\n\n{imports}\nvar programs = map[string]check{{\n{table}}}\n"
    (folder / "programs.go").write_text(listing)
    (folder / "go.mod").write_text("module check\n\ngo 1.19\n")
    shutil.copy(HARNESSES / "check.go", folder / "check.go")
    return [["go", "run", ".", str(lines)]]


def _call(command: Sequence[str], folder: Path) -> str:
    environment = os.environ | {
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert not done.stderr, done.stderr[-4000:]
    return done.stdout
