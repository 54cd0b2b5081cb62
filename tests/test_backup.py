"""``hooktide backup``: it contains everything that was accepted before it began."""

import asyncio
import shlex
import shutil
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import asyncpg
import pytest
from accounting import Ledger, Producer
from forkkit import run as hooktide
from livedkit import live
from postgreskit import binaries, database
from serverkit import KEY, receiving, serving, set_up, until_none_is
from storekit import NOON

from hooktide.domain.errors import ConfigError
from hooktide.runtime.vault import Vault
from hooktide.store.sqlite import open_sqlite
from hooktide.store.sqlite.maintenance.backup import back_up


async def run(*command: str) -> tuple[int, str]:
    """Run a command. Return its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def accepted(ledger: Ledger, count: int) -> None:
    """Wait until this many more events are accepted."""
    count += len(ledger.acked)
    async with asyncio.timeout(60):
        while len(ledger.acked) < count:
            await asyncio.sleep(0.01)


@dataclass
class InSqlite:
    """A file that ``hooktide backup`` copies and that is restored elsewhere."""

    old: Path
    new: Path
    first: str = ""
    second: str = ""

    async def back_up(self, copy: Path) -> None:
        done, told = await hooktide(
            "backup", "--database", str(self.old / "hooktide.db"), str(copy)
        )
        assert done == 0, told
        assert str(self.old / "hooktide.db.key") in told
        assert only(copy.parent, copy.name)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    async def restore(self, copy: Path) -> str:
        shutil.copy(copy, self.new / "hooktide.db")
        return str(self.new / "hooktide.db")


@dataclass
class InPostgres:
    """A database that is dumped with the command that ``hooktide backup`` prints, and restored."""

    old: Path
    new: Path
    first: str
    second: str

    async def back_up(self, copy: Path) -> None:
        _, told = await hooktide("backup", "--database", self.first, str(copy))
        [command] = [line for line in told.splitlines() if "pg_dump" in line]
        program, *options = shlex.split(command)
        done, told = await run(str(binaries() / program), *options)
        assert done == 0, told

    async def restore(self, copy: Path) -> str:
        done, told = await run(str(binaries() / "pg_restore"), f"--dbname={self.second}", str(copy))
        assert done == 0, told
        connection = await asyncpg.connect(self.second)
        # Claimed deliveries are due when their lease ends, a minute after the dump. Here that is
        # now.
        await connection.execute(
            "UPDATE hooktide.queue SET due_at = due_at - 60000000 WHERE claim <> 0"
        )
        await connection.close()
        return self.second


@pytest.fixture(params=["sqlite", "postgres"])
async def kept(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[InSqlite | InPostgres]:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    if request.param == "sqlite":
        yield InSqlite(old, new)
    else:
        async with database() as first, database(migrated=False) as second:
            yield InPostgres(old, new, first, second)


async def test_what_a_backup_under_load_holds_is_delivered_where_it_is_restored(
    tmp_path: Path, kept: InSqlite | InPostgres
) -> None:
    ledger, copy = Ledger(hanging={"/later"}), tmp_path / "copy.db"
    async with receiving(ledger) as receiver:
        async with serving(tmp_path, folder=kept.old, database=kept.first) as server:
            account, secrets = await set_up(server.api, receiver, ("/ok", "/later"))
            producer = Producer(server.port, KEY, account, ledger)
            producing = asyncio.create_task(producer.run(4))
            await accepted(ledger, 200)
            before = set(ledger.acked)
            await kept.back_up(copy)
            await accepted(ledger, 200)
            producer.stop.set()
            await producing

        shutil.copy(kept.old / "hooktide.db.key", kept.new)
        restored = await kept.restore(copy)
        ledger.hanging.clear()
        ledger.arrived.clear()
        async with serving(tmp_path, folder=kept.new, database=kept.second) as server:
            await until_none_is(server.api, "pending", within=60)
            done, told = await hooktide("audit", "--database", restored)
            assert done == 0, told
    again = {item.event_id for item in ledger.arrived}
    assert before <= again <= set(ledger.acked)
    ledger.acked = {event_id: ledger.acked[event_id] for event_id in again}
    ledger.check(secrets)


@pytest.fixture
async def lived(tmp_path: Path) -> Path:
    """A database that a server has stopped using."""
    path = tmp_path / "lived.db"
    store = open_sqlite(str(path), Vault(b"k" * 32), NOON)
    await live(store)
    await store.close()
    return path


def only(folder: Path, *names: str) -> bool:
    """Return whether a folder has exactly these files among those with their prefix."""
    return {path.name for path in folder.glob("copy*")} == set(names)


async def test_a_backup_is_a_database_of_its_own_that_a_server_can_start_on(
    lived: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    made = back_up(str(lived), str(copy))
    assert only(tmp_path, "copy.db")
    lived.unlink()
    store = open_sqlite(str(copy), Vault(b"k" * 32), NOON)
    counts = await store.counts()
    await store.close()
    assert made.size == copy.stat().st_size
    assert (made.events, counts.held) == (16, 1)


async def test_what_is_there_already_is_not_overwritten(lived: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"an older backup")
    with pytest.raises(ConfigError, match="not overwritten"):
        back_up(str(lived), str(copy))
    assert copy.read_bytes() == b"an older backup"
    assert only(tmp_path, "copy.db")


async def test_a_damaged_database_makes_no_backup(lived: Path, tmp_path: Path) -> None:
    db = apsw.Connection(str(lived))
    [[page]] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries_by_event'")
    db.close()
    with lived.open("r+b") as file:
        file.seek((page - 1) * 4096 + 3)
        file.write(b"\xff\xff")
    with pytest.raises(ConfigError, match=r"damaged|malformed"):
        back_up(str(lived), str(tmp_path / "copy.db"))
    assert only(tmp_path)


async def test_a_missing_folder_is_reported(lived: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        back_up(str(lived), str(tmp_path / "nowhere" / "copy.db"))


async def test_a_backup_that_finds_no_room_leaves_nothing(lived: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hooktide", "backup", "--database", str(lived)]
    limited = 'ulimit -f 100; exec "$@"'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", limited, "sh", *command, str(tmp_path / "copy.db"), stderr=PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 2
    assert told.startswith(b"hooktide: target: ")
    assert only(tmp_path)


async def test_for_postgresql_the_command_is_printed_without_the_password() -> None:
    url = "postgresql://app:secret@db.example.com/hooks"
    done, told = await hooktide("backup", "--database", url, "hooks.dump")
    assert done == 2
    assert "pg_dump --format=custom --schema=hooktide --file=hooks.dump" in told
    assert "secret" not in told
