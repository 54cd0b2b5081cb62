"""A SQLite file whose migration is killed at any step is intact, and the migration can be resumed.

The process is killed at every seventh write, and at each in ``make faults``.
"""

import os
import shutil
from pathlib import Path

import apsw
import pytest
from livedkit import live
from releases import Release, known, later
from serverkit import serving
from storekit import NOON

from hooktide.runtime.vault import Vault
from hooktide.store.sqlite import open_sqlite

EACH = 7 if "HOOKTIDE_KILLS" not in os.environ else 1
OLD = len(known("sqlite"))
NEW = OLD + 2
MISSING = f"schema {OLD}, missing: {OLD + 1} colours, {NEW} shades\n"
ALL = f"schema 0, missing: {', '.join(f'{each.number} {each.name}' for each in known('sqlite'))}\n"
MIGRATIONS = {
    "colours": """
        ALTER TABLE accounts ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';
        UPDATE accounts SET colour = 'green' WHERE reference = 'acme';
        CREATE INDEX accounts_by_colour ON accounts (colour);
    """,
    "shades": """
        CREATE TABLE shades (account_id INTEGER PRIMARY KEY, shade TEXT NOT NULL) STRICT;
        INSERT INTO shades SELECT id, 'dark ' || colour FROM accounts;
    """,
}


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A database of this release, no longer in use."""
    path = tmp_path / "first.db"
    store = open_sqlite(str(path), Vault(b"k" * 32), NOON)
    await live(store)
    await store.close()
    return path


async def test_a_migration_killed_at_any_step_leaves_a_database_that_goes_on(
    database: Path, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    assert strace is not None, "install strace: it kills at a step"
    release = later(tmp_path / "later", "sqlite", MIGRATIONS)
    killed, reached = 0, set()
    while True:
        path = tmp_path / f"killed{killed}.db"
        shutil.copy(database, path)
        step = 1 + killed * EACH
        kill = f"inject=pwrite64,fdatasync,ftruncate,unlink:signal=SIGKILL:when={step}"
        under = (strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", kill)
        done, told = await release.run("migrate", "--database", str(path), under=under)
        if done == 0:
            break
        assert "hooktide:" not in told, told
        reached.add(_is_whole(path))
        done, told = await release.run("migrate", "--database", str(path))
        assert (done, _is_whole(path)) == (0, NEW), told
        killed += 1
    assert killed >= 30 // EACH
    assert reached == {OLD, OLD + 1, NEW}
    assert (await release.run("audit", "--database", str(path)))[0] == 0
    print(f"{killed} kills")


def _is_whole(path: Path) -> int:
    """Return a database's schema version. It has all of that schema, and nothing of the next."""
    db = apsw.Connection(str(path))
    assert db.pragma("quick_check") == "ok"
    number = int(db.pragma("user_version"))
    columns = [row[1] for row in db.execute("PRAGMA table_info (accounts)")]
    shades = list(db.execute("SELECT name FROM sqlite_master WHERE name = 'shades'"))
    [[accounts]] = db.execute("SELECT count(*) FROM accounts")
    assert accounts == 2
    assert (("colour" in columns), bool(shades)) == (number > OLD, number == NEW)
    if number == NEW:
        found = [shade for [shade] in db.execute("SELECT shade FROM shades ORDER BY shade")]
        assert found == ["dark blue", "dark green"]
    db.close()
    return number


async def test_check_says_what_is_missing_and_changes_nothing(
    database: Path, tmp_path: Path
) -> None:
    first, release = Release(), later(tmp_path / "later", "sqlite", MIGRATIONS)
    check = ("migrate", "--check", "--database", str(database))
    assert await first.run(*check) == (0, f"schema {OLD}, up to date\n")
    assert await release.run(*check) == (1, MISSING)
    assert await first.run(*check) == (0, f"schema {OLD}, up to date\n")
    done, told = await release.run("migrate", "--database", str(database))
    assert (done, told) == (0, f"{MISSING}schema {NEW}, up to date\n")
    assert await release.run(*check) == (0, f"schema {NEW}, up to date\n")


async def test_a_database_that_is_not_there_misses_everything_and_is_not_made(
    tmp_path: Path,
) -> None:
    path = tmp_path / "none.db"
    check = ("migrate", "--check", "--database", str(path))
    assert await Release().run(*check) == (1, ALL)
    done, told = await Release().run("migrate", "--database", str(path))
    assert (done, f"the file {path} does not exist" in told) == (2, True), told
    assert list(tmp_path.iterdir()) == []


async def test_a_program_that_is_older_than_the_schema_keeps_its_hands_off(
    database: Path, tmp_path: Path
) -> None:
    release = later(tmp_path / "later", "sqlite", MIGRATIONS)
    assert (await release.run("migrate", "--database", str(database)))[0] == 0
    content = database.read_bytes()
    serve = ("serve", "--listen", "127.0.0.1:0")
    for command in (("migrate", "--check"), ("migrate",), ("audit",), serve):
        done, told = await Release().run(*command, "--database", str(database))
        assert done == 2
        assert f"the database has schema {NEW}, this Hooktide knows up to {OLD}" in told
    assert database.read_bytes() == content


async def test_a_running_server_is_not_migrated_under(tmp_path: Path) -> None:
    async with serving(tmp_path):
        database = str(tmp_path / "hooktide.db")
        done, told = await Release().run("migrate", "--check", "--database", database)
        assert (done, told) == (0, f"schema {OLD}, up to date\n")
        release = later(tmp_path / "later", "sqlite", MIGRATIONS)
        done, told = await release.run("migrate", "--database", database)
        assert done == 2
        assert "another hooktide server is using" in told
