"""A PostgreSQL of the benchmark's own: made empty, measured with its backends, taken away again."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, Child, Usage
from bench.receiver import free_ports

READY_TIMEOUT = 30.0
SETTINGS = {
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "wal_buffers": "16MB",
    "autovacuum_naptime": "10s",
    "listen_addresses": "127.0.0.1",
}
"""Besides these, PostgreSQL's own: fsync and full_page_writes are on."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running cluster with an empty database."""

    child: Child
    data: Path
    url: str

    def usage(self) -> Usage:
        """Return what the server and its backends have used."""
        return self.child.usage()

    def disk(self) -> int:
        """Return the bytes of its tables and indexes, without the write-ahead log."""
        return sum(
            file.stat().st_size for file in (self.data / "base").rglob("*") if file.is_file()
        )


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Make a cluster in ``folder``, start it, and end it."""
    programs, data, user = binaries(), folder / "postgres", _user()
    data.mkdir()
    if user:
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    _run([*_as(user), programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "--no-sync"])
    (port,) = free_ports(1)
    options = SETTINGS | {"port": str(port), "unix_socket_directories": ""}
    command = [*_as(user), programs / "postgres", "-D", data]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    log = folder / "postgres.log"
    with Child([str(word) for word in command], log) as child:
        _await(child, [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        yield Postgres(child, data, f"postgresql://bench@127.0.0.1:{port}/postgres")
    shutil.rmtree(data)


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    if not found:
        raise BenchError("the benchmark needs PostgreSQL's server: apt install postgresql")
    return found[-1]


def _user() -> str:
    """Name the user that the server runs as: it does not run as root. Empty: as we do."""
    return "postgres" if os.geteuid() == 0 else ""


def _as(user: str) -> list[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{command[0]} failed: {done.stderr[-500:]}")


def _await(child: Child, ready: Sequence[str | Path]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while subprocess.run([str(word) for word in ready], check=False).returncode:
        child.check()
        if time.monotonic() > deadline:
            raise BenchError(f"PostgreSQL is not ready after {READY_TIMEOUT:.0f} s")
        time.sleep(0.05)
