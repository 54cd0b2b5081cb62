"""docs/outbox.md: its programs run, its commands are valid, and its table matches the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from outboxkit import engine_on, kept, sync_url
from postgreskit import database
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from hooktide.sqlalchemy import emit

TEXT = (Path(__file__).parents[2] / "docs" / "outbox.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    return [line.split() for line in lines if line.startswith("hooktide ")]


def columns(table: str) -> str:
    return (
        "SELECT column_name, data_type, character_maximum_length, is_nullable, is_identity "
        f"FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    )


def test_the_program_for_sqlalchemy_leaves_its_event_in_the_outbox(tmp_path: Path) -> None:
    [program] = [each for each in blocks("python") if "outbox.to_metadata" in each]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    with engine_on(str(tmp_path / "app.db")) as engine:
        [row] = kept(engine)
    assert (row["type"], row["account"]) == ("invoice.paid", "customer-1")
    assert row["payload"] == '{"id":1,"status":"sent"}'


async def test_with_these_rights_an_application_emits_straight_to_hooktide() -> None:
    [grants] = [block for block in blocks("sql") if block.startswith("GRANT")]
    [program] = [block for block in blocks("python") if "direct=" in block]
    user = f"app_{os.getpid()}"
    async with database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(f"CREATE ROLE {user}; {grants.replace('TO app;', f'TO {user};')}")
        engine = create_engine(sync_url(url))
        with Session(engine) as session:
            session.execute(text(f"SET ROLE {user}"))
            exec(program, {"emit": emit, "session": session})
            session.commit()
        engine.dispose()
        [row] = await connection.fetch("SELECT project, account, type FROM hooktide.emitted")
        await connection.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")
        await connection.close()
    assert tuple(row) == ("invoicing", "customer-1", "invoice.paid")


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_has_these_options(command: list[str]) -> None:
    _, name, *arguments = command
    help_of = [sys.executable, "-m", "hooktide", name, "--help"]
    told = subprocess.run(help_of, capture_output=True, text=True, check=True, timeout=60).stdout
    for option in (each for each in arguments if each.startswith("--")):
        assert option in told


async def test_the_table_is_the_one_that_sqlalchemy_makes() -> None:
    [table] = [block for block in blocks("sql") if block.startswith("CREATE")]
    async with database(migrated=False) as url:
        connection = await asyncpg.connect(url)
        await connection.execute(table)
        written = await connection.fetch(columns("hooktide_outbox"))
        await connection.execute("DROP TABLE hooktide_outbox")
        with engine_on(url):
            made = await connection.fetch(columns("hooktide_outbox"))
        await connection.close()
    assert written == made
