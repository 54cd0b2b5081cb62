"""The command line: what it does, and what it says when it cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from postgreskit import database
from serverkit import KEY, Server

from hooktide.dialects import shipped


def hooktide(
    *args: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hooktide", *args],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_apply_makes_a_project_and_says_what_changed_and_then_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path, tmp_path / "server.log")
    await server.start()
    env = {"HOOKTIDE_SERVER": f"http://127.0.0.1:{server.port}", "HOOKTIDE_OPERATOR_KEY": KEY}
    try:
        first = hooktide("apply", "invoice-ahoy", cwd=tmp_path, env=env)
        again = hooktide("apply", "invoice-ahoy", cwd=tmp_path, env=env)
        names = [row["name"] for row in (await server.api.get("/v1/projects"))["items"]]
    finally:
        await server.kill()
    assert first.stdout.startswith("invoice-ahoy: project added\n")
    assert again.stdout == "invoice-ahoy: nothing to change\n"
    assert names == ["invoice-ahoy"]


def test_apply_works_on_the_database_of_a_server_that_is_not_running(tmp_path: Path) -> None:
    first = hooktide("apply", "defacto", "--database", "x.db", cwd=tmp_path)
    again = hooktide("apply", "defacto", "--database", "x.db", cwd=tmp_path)
    assert "project added" in first.stdout
    assert again.stdout == "defacto: nothing to change\n"


def test_a_wrong_file_is_told_by_line_key_and_reason_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ntitle = "Mine"\n\n[dialekt]\n')
    done = hooktide("apply", "mine.toml", "--database", "x.db", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "hooktide: mine.toml:4: dialekt: there is no such key; did you mean 'dialect'?\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "x.db").exists()


def test_a_file_that_is_not_there_is_told_with_what_there_is(tmp_path: Path) -> None:
    done = hooktide("apply", "nothing.toml", cwd=tmp_path, env={"HOOKTIDE_OPERATOR_KEY": "x"})
    assert done.returncode == 2
    assert "invoice-ahoy" in done.stderr


def test_a_server_that_is_not_running_is_told_as_such(tmp_path: Path) -> None:
    args = ("apply", "defacto", "--server", "http://127.0.0.1:9", "--key", "htk_x")
    done = hooktide(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "is the server running?" in done.stderr


def test_the_shipped_providers_are_listed(tmp_path: Path) -> None:
    listed = hooktide("providers", cwd=tmp_path).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped())


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--listen", "8080", "127.0.0.1:8080"),
        ("--listen", "127.0.0.1:99999", "127.0.0.1:8080"),
        ("--allow-network", "10.0.0.1/8", "10.0.0.0/8"),
        ("--deny-network", "everything", "10.0.0.0/8"),
        ("--slots", "0", "at least one"),
        ("--database", "postgresql://localhost/x", "--key-file"),
        ("--database", "mysql://localhost/x", "postgresql://"),
        ("--database-direct", "postgresql://localhost/x", "only PostgreSQL"),
        ("--processes", "2", "use PostgreSQL"),
        ("--processes", "0", "at least one"),
        ("--role", "worker", "use PostgreSQL"),
        ("--role", "sender", "all, api, worker"),
        ("--log-level", "loud", "debug"),
        ("--public-url", "hooks.example.com", "https://hooks.example.com"),
        ("--egress-proxy", "https://proxy/path", "http://host:port"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_what_to_write(
    option: str, value: str, told: str, tmp_path: Path
) -> None:
    done = hooktide("serve", option, value, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr


async def test_apply_works_on_postgresql_beside_its_servers(tmp_path: Path) -> None:
    async with database() as url:
        args = ("apply", "defacto", "--database", url, "--key-file", "key")
        first = hooktide(*args, cwd=tmp_path)
        again = hooktide(*args, cwd=tmp_path)
    assert "project added" in first.stdout
    assert again.stdout == "defacto: nothing to change\n"


def test_apply_on_postgresql_wants_the_key_file(tmp_path: Path) -> None:
    args = ("apply", "defacto", "--database", "postgresql://localhost/x")
    done = hooktide(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "--key-file" in done.stderr


def test_postgresql_without_its_driver_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "asyncpg.py").write_text("raise ModuleNotFoundError(name='asyncpg')")
    args = ("serve", "--database", "postgresql://localhost/x", "--key-file", "key")
    env = {"PYTHONPATH": str(tmp_path), "HOOKTIDE_LISTEN": "127.0.0.1:0"}
    done = hooktide(*args, cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "pip install 'hooktide[postgres]'" in done.stderr


def test_a_setting_may_come_from_the_environment(tmp_path: Path) -> None:
    done = hooktide("serve", cwd=tmp_path, env={"HOOKTIDE_SLOTS": "0"})
    assert "at least one slot" in done.stderr


def test_a_short_operator_key_is_refused_at_the_start(tmp_path: Path) -> None:
    args = ("serve", "--listen", "127.0.0.1:0")
    done = hooktide(*args, cwd=tmp_path, env={"HOOKTIDE_OPERATOR_KEY": "short"})
    assert done.returncode == 2
    assert "24 characters or more" in done.stderr


def test_a_server_that_is_named_is_asked_whatever_database_the_environment_names(
    tmp_path: Path,
) -> None:
    args = ("apply", "defacto", "--server", "http://127.0.0.1:9", "--key", "htk_x")
    done = hooktide(*args, cwd=tmp_path, env={"HOOKTIDE_DATABASE": "x.db"})
    assert "is the server running?" in done.stderr
    assert not (tmp_path / "x.db").exists()
