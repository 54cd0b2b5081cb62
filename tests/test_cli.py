"""The command line: what commands do, and their error messages."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from forkkit import run_in
from postgreskit import database
from serverkit import KEY, Server

from hooktide.cli.commands.projects import apply
from hooktide.cli.output import print_rows
from hooktide.dialects import shipped
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Scope
from hooktide.runtime.vault import load_vault
from hooktide.store.sqlite import open_sqlite


def hooktide(
    *args: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run_in(cwd, *args, env=env or {})


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


async def test_apply_takes_no_plan_away_that_an_account_is_on(tmp_path: Path) -> None:
    assert (
        "project added"
        in hooktide("apply", "mine.toml", "--database", "x.db", cwd=_mine(tmp_path)).stdout
    )
    store = open_sqlite(str(tmp_path / "x.db"), load_vault(tmp_path / "x.db.key"), 0)
    row = await store.get_project(Scope(), "mine")
    await store.create_account(row.id, "acme", "", "small", 0)
    await store.close()
    done = hooktide("apply", "mine.toml", "--database", "x.db", cwd=_mine(tmp_path, plan="large"))
    assert done.returncode == 2
    assert "account 'acme' is on the plan 'small'; move it to another plan first" in done.stderr


async def test_apply_removes_types_that_endpoints_want_only_when_it_is_confirmed(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path, tmp_path / "server.log")
    await server.start()
    env = {"HOOKTIDE_SERVER": f"http://127.0.0.1:{server.port}", "HOOKTIDE_OPERATOR_KEY": KEY}
    _mine(tmp_path)
    without = (tmp_path / "mine.toml").read_text()
    try:
        (tmp_path / "mine.toml").write_text(without + '[event_types."a.b"]\n')
        hooktide("apply", "mine.toml", cwd=tmp_path, env=env)
        await server.api.post("/v1/accounts", {"project": "mine", "reference": "acme"})
        hook = {"account": "acme", "url": "http://127.0.0.1:65000/", "event_types": ["a.b"]}
        await server.api.post("/v1/endpoints", hook)
        (tmp_path / "mine.toml").write_text(without)
        refused = hooktide("apply", "mine.toml", cwd=tmp_path, env=env)
        both = ("--dry-run", "--remove-event-types")
        would = hooktide("apply", "mine.toml", *both, cwd=tmp_path, env=env)
        done = hooktide("apply", "mine.toml", "--remove-event-types", cwd=tmp_path, env=env)
    finally:
        await server.kill()
    assert refused.returncode == 2
    assert "would be deleted: a.b (1 endpoint)." in refused.stderr
    assert "--remove-event-types" in refused.stderr
    assert would.stdout == done.stdout == "mine: event type a.b removed\n"


def test_a_dry_run_on_a_database_changes_nothing(tmp_path: Path) -> None:
    args = ("apply", "defacto", "--database", "x.db")
    would = hooktide(*args, "--dry-run", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
    done = hooktide(*args, cwd=tmp_path)
    assert would.stdout == done.stdout
    assert would.stdout.startswith("defacto: project added\n")


def test_a_dry_run_brings_no_schema_up_to_date(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(ConfigError, match="run hooktide migrate first"):
        apply("defacto", database=str(tmp_path / "x.db"), dry_run=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_missing_file_is_reported_with_the_shipped_projects(tmp_path: Path) -> None:
    said = hooktide("apply", "nope", cwd=tmp_path).stderr
    listed = hooktide("providers", cwd=tmp_path).stdout
    names = [line.split()[0] for line in listed.splitlines()]
    assert f"give a project file, or the name of one that ships: {', '.join(names)}" in said


def _mine(folder: Path, plan: str = "small") -> Path:
    text = f'name = "mine"\ntitle = "Mine"\n\n[plans.{plan}]\nretries = 1\n'
    (folder / "mine.toml").write_text(text)
    return folder


def test_an_invalid_file_is_reported_by_line_key_and_reason_and_changes_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ntitle = "Mine"\n\n[dialekt]\n')
    done = hooktide("apply", "mine.toml", "--database", "x.db", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "hooktide: mine.toml:4: dialekt: there is no such key; did you mean 'dialect'?\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "x.db").exists()


def test_a_missing_file_is_reported_with_the_available_ones(tmp_path: Path) -> None:
    done = hooktide("apply", "nothing.toml", cwd=tmp_path, env={"HOOKTIDE_OPERATOR_KEY": "x"})
    assert done.returncode == 2
    assert "invoice-ahoy" in done.stderr


def test_a_server_that_is_not_running_is_reported(tmp_path: Path) -> None:
    args = ("apply", "defacto", "--server", "http://127.0.0.1:9", "--key", "htk_x")
    done = hooktide(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "is the server running?" in done.stderr


def test_text_that_is_not_utf8_is_refused_by_its_place(tmp_path: Path) -> None:
    for words in (("send", "a.b", "--account", "\udcff", "--key", "htk_x"), ("apply", "\udcff")):
        done = hooktide(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert "\\\\xff' is not UTF-8" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_shipped_providers_are_listed(tmp_path: Path) -> None:
    listed = hooktide("providers", cwd=tmp_path).stdout
    assert [line.split()[0] for line in listed.splitlines()] == [*shipped(), "hooktide"]


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--listen", "8080", "127.0.0.1:8080"),
        ("--listen", "127.0.0.1:99999", "127.0.0.1:8080"),
        ("--allow-network", "10.0.0.1/8", "10.0.0.0/8"),
        ("--deny-network", "everything", "10.0.0.0/8"),
        ("--trusted-proxy", "10.0.0.1/8", "--trusted-proxy"),
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
    command = [sys.executable, "-m", "hooktide", "serve", "--listen", "127.0.0.1:0"]
    command += ["--database", "postgresql://localhost/x", "--key-file", "key"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
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


def test_a_table_has_its_numbers_at_the_right_and_nothing_behind_its_last_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [("invoice-maker", "1,200", "2026-11-01"), ("defacto", "7", "-")]
    print_rows(("project", "events", "oldest event"), rows, numbers={"events"})
    assert capsys.readouterr().out == (
        "project        events  oldest event\n"
        "invoice-maker   1,200  2026-11-01\n"
        "defacto             7  -\n"
    )


@pytest.mark.parametrize(
    "words", [("apply", "defacto"), ("storage-usage",)], ids=["apply", "storage-usage"]
)
def test_a_database_that_is_named_is_used_whatever_server_the_environment_names(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "x.db").touch()
    env = {"HOOKTIDE_SERVER": "http://127.0.0.1:9", "HOOKTIDE_OPERATOR_KEY": KEY}
    done = hooktide(*words, "--database", "x.db", cwd=tmp_path, env=env)
    assert "is the server running?" not in done.stderr
    if words[0] == "apply":
        assert (done.returncode, done.stdout[:8]) == (0, "defacto:")
    else:
        assert "hooktide migrate" in done.stderr, "the empty file is what was looked at"


def test_a_command_that_asks_a_server_loads_none() -> None:
    code = (
        "import sys; from hooktide.cli import app; app['send']; "
        "print({'hooktide.client', 'hooktide.app', 'hooktide.store', 'apsw'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{'hooktide.client'}\n", done.stderr


def test_a_command_that_works_on_a_database_loads_no_client() -> None:
    code = (
        "import sys, hooktide.cli.commands.database, hooktide.cli.commands.keys; "
        "print({'httpx', 'hooktide.client', 'hooktide.web', 'starlette'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "set()\n", done.stderr
