"""Wrong arguments print one line that says what is wrong and which help to read."""

import sys
from pathlib import Path

import pytest

from hooktide.cli import main

WRONG = {
    "apply": "FILE is missing; see hooktide apply --help",
    "apply a --nope": "unknown option: --nope; see hooktide apply --help",
    "apply a b c": "too many arguments: b c; see hooktide apply --help",
    "events --server": "--server needs a value; see hooktide events --help",
    "events --limit x": "--limit takes a whole number, not 'x'; see hooktide events --help",
    "frobnicate": 'unknown command "frobnicate"; see hooktide --help',
    "keys frob": 'unknown command "frob"; see hooktide keys --help',
    "serve --slotz 4": "unknown option: --slotz. Did you mean --slots?; see hooktide serve --help",
}


def failed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Run a command that fails with status 2, and return its error message."""
    monkeypatch.setattr(sys, "argv", ["hooktide", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("line", WRONG)
def test_wrong_arguments_are_answered_in_one_line(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(line.split(), monkeypatch, capsys) == f"hooktide: {WRONG[line]}\n"


def test_a_wrong_value_in_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOKTIDE_SLOTS", "many")
    said = failed(["serve"], monkeypatch, capsys)
    assert said == (
        "hooktide: HOOKTIDE_SLOTS takes a whole number, not 'many'; see hooktide serve --help\n"
    )


def test_a_project_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"\xff")
    for path, why in (
        (tmp_path / "nofile.toml", "there is no such file"),
        (tmp_path, "it is a directory"),
        (latin, "it is not UTF-8"),
    ):
        said = failed(["apply", str(path)], monkeypatch, capsys)
        assert said.startswith(f"hooktide: {path}: {why}; give a project file, or the name")
