"""A standby of a PostgreSQL cluster, and functions that wait for it."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
from postgreskit import Cluster, as_owner, binaries, give_to_owner, temporary_folder

NAME = "standby"
"""What it calls itself."""


class Standby(Cluster):
    """A standby that follows a running cluster until it is promoted."""

    def __init__(self, folder: Path, primary: Cluster) -> None:
        super().__init__(folder)
        self._primary = primary

    def _make(self) -> None:
        self.data.mkdir(mode=0o700)
        give_to_owner(self.data)
        where = f"host=127.0.0.1 port={self._primary.port} user=hooktide application_name={NAME}"
        command = [str(binaries() / "pg_basebackup"), "-D", str(self.data), "-d", where]
        command += ["-R", "--checkpoint=fast", "--no-sync"]
        done = subprocess.run(as_owner(*command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    async def promote(self) -> None:
        """Promote the standby, and wait until it is a primary."""
        assert await ask(self, "SELECT pg_promote()")


@contextlib.contextmanager
def standby_of(primary: Cluster) -> Iterator[Standby]:
    """Run a standby of a cluster."""
    with temporary_folder() as folder:
        running = Standby(folder, primary)
        try:
            running.start()
            yield running
        finally:
            running.end()


async def wait_for(name: str, primary: Cluster) -> None:
    """Make commits wait for the standby of this name, or for none if it is empty."""
    await ask(primary, f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    await ask(primary, "SELECT pg_reload_conf()")
    await until_true(primary, f"SELECT current_setting('synchronous_standby_names') = '{name}'")


async def until_in_step(primary: Cluster) -> None:
    """Wait until a synchronous standby is connected."""
    await until_true(primary, "SELECT bool_or(sync_state = 'sync') FROM pg_stat_replication")


async def until_nothing_is_behind(primary: Cluster) -> None:
    """Wait until the standby has caught up."""
    await until_true(
        primary, "SELECT bool_or(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication"
    )


async def until_true(of: Cluster, sql: str) -> None:
    async with asyncio.timeout(30):
        while not await ask(of, sql):
            await asyncio.sleep(0.02)


async def ask(of: Cluster, sql: str) -> int:
    """Return the integer that a query selects, or 0 if there is no row."""
    connection = await asyncpg.connect(of.url())
    try:
        return int(await connection.fetchval(sql) or 0)
    finally:
        connection.terminate()
