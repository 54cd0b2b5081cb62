"""A standby of a PostgreSQL cluster, and waiting for it."""

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
    """A copy of a cluster that runs; it follows that one until it is promoted."""

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
        """Return once it is a primary itself."""
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
    """Have commits wait for the standby of this name from now on; no name: for none."""
    await ask(primary, f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
    await ask(primary, "SELECT pg_reload_conf()")
    await until_true(primary, f"SELECT current_setting('synchronous_standby_names') = '{name}'")


async def until_in_step(primary: Cluster) -> None:
    """Return when commits wait for a standby that is there."""
    await until_true(primary, "SELECT bool_or(sync_state = 'sync') FROM pg_stat_replication")


async def until_nothing_is_behind(primary: Cluster) -> None:
    """Return when the standby has all that there is."""
    await until_true(
        primary, "SELECT bool_or(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication"
    )


async def until_true(of: Cluster, sql: str) -> None:
    async with asyncio.timeout(30):
        while not await ask(of, sql):
            await asyncio.sleep(0.02)


async def ask(of: Cluster, sql: str) -> int:
    """Return what a cluster answers; 0 for nothing."""
    connection = await asyncpg.connect(of.url())
    try:
        return int(await connection.fetchval(sql) or 0)
    finally:
        connection.terminate()
