"""The systemd units: systemd accepts them, and they start existing commands with few privileges."""

import inspect
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from hooktide.cli.commands.outbox import relay
from hooktide.runtime.settings import Settings
from hooktide.store.sqlite.connection.connection import EXIT_SYNC_FAILED

UNITS = Path(__file__).parents[2] / "deploy/systemd"
UNIT = (UNITS / "hooktide.service").read_text()
RELAY = (UNITS / "hooktide-relay.service").read_text()
PROGRAM = "/opt/hooktide/bin/hooktide"


def value(name: str, text: str = UNIT) -> str:
    [found] = re.findall(rf"^{name}=(.+)$", text, re.MULTILINE)
    return str(found)


def installed(folder: Path) -> Path:
    """Write the unit with a placeholder for the installed program. Return its file."""
    program = folder / "hooktide"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hooktide "$@"\n')
    program.chmod(0o755)
    unit = folder / "hooktide.service"
    unit.write_text(UNIT.replace(PROGRAM, str(program)))
    drop_in = folder / "hooktide.service.d"
    drop_in.mkdir()
    several = (UNITS / "processes.conf").read_text()
    (drop_in / "processes.conf").write_text(several.replace(PROGRAM, str(program)))
    (folder / "hooktide-relay.service").write_text(RELAY.replace(PROGRAM, str(program)))
    return unit


def installed_relay(folder: Path) -> Path:
    return installed(folder).with_name("hooktide-relay.service")


def analyze(*arguments: str) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_reads_it_and_finds_nothing_odd(tmp_path: Path) -> None:
    assert analyze("verify", str(installed(tmp_path))) == ""


def test_it_may_do_little(tmp_path: Path) -> None:
    analyze("security", "--offline=true", "--threshold=15", str(installed(tmp_path)))


@pytest.mark.parametrize("file", ["hooktide.service", "processes.conf"])
def test_the_started_command_exists(file: str) -> None:
    program, command, *options = value("ExecStart", (UNITS / file).read_text()).split()
    assert (program, command) == (PROGRAM, "serve")
    names = {f"--{each.name.replace('_', '-')}" for each in fields(Settings)}
    assert {each for each in options if each.startswith("-")} <= names


def test_every_line_of_the_environment_is_a_setting() -> None:
    text = (UNITS / "environment").read_text()
    named = re.findall(r"^#?HOOKTIDE_([A-Z_]+)=", text, re.MULTILINE)
    assert len(named) > 4
    assert {name.lower() for name in named} <= {each.name for each in fields(Settings)} | {
        "operator_key"
    }


def test_it_is_given_the_time_that_stopping_takes() -> None:
    assert float(value("TimeoutStopSec")) > Settings().stop_within + 3


def test_it_starts_again_after_a_failed_sync_and_not_with_wrong_settings() -> None:
    assert value("Restart") == "always"
    assert value("RestartPreventExitStatus") == "2" != str(EXIT_SYNC_FAILED)
    done = subprocess.run(
        [sys.executable, "-m", "hooktide", "serve", "--listen", "nowhere"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2


def test_its_files_are_where_it_may_write() -> None:
    home = f"/var/lib/{value('StateDirectory')}"
    assert value("WorkingDirectory") == home
    environment = (UNITS / "environment").read_text()
    assert f"\nHOOKTIDE_DATABASE={home}/" in environment
    assert f"\n#HOOKTIDE_KEY_FILE={home}/" in environment
    assert re.search(
        rf"^u {value('User')} - .* {home}$", (UNITS / "sysusers.conf").read_text(), re.M
    )


def test_systemd_reads_the_relays_unit_which_may_do_as_little(tmp_path: Path) -> None:
    unit = installed_relay(tmp_path)
    assert analyze("verify", str(unit)) == ""
    analyze("security", "--offline=true", "--threshold=15", str(unit))


def test_the_relays_unit_starts_the_relay_with_its_options_in_the_environment() -> None:
    assert value("ExecStart", RELAY) == f"{PROGRAM} relay"
    assert value("EnvironmentFile", RELAY) == "/etc/hooktide/relay"
    text = (UNITS / "relay").read_text()
    named = set(re.findall(r"^#?HOOKTIDE_([A-Z_]+)=", text, re.MULTILINE))
    assert {"FROM", "SERVER", "KEY"} <= named
    assert named <= {each.rstrip("_").upper() for each in inspect.signature(relay).parameters}


def test_a_relay_with_wrong_settings_is_not_started_again(tmp_path: Path) -> None:
    assert value("Restart", RELAY) == "always"
    assert value("RestartPreventExitStatus", RELAY) == "2"
    done = subprocess.run(
        [sys.executable, "-m", "hooktide", "relay"],
        env={"HOOKTIDE_FROM": str(tmp_path / "none.db"), "HOOKTIDE_KEY": "htk_x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "does not exist" in done.stderr) == (2, True), done.stderr
