"""PgBouncer in front of a cluster, in transaction mode: no session outlives a transaction.

It is Debian's program. Each transaction of a client may use another of the few connections to
PostgreSQL, so code that relies on session state fails quickly.
"""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ports import free_port
from postgreskit import Cluster, Shared, as_owner, give_to_owner, shared, temporary_folder

READY_TIMEOUT = 60.0
SERVER_CONNECTIONS = 4
"""To each database: fewer than a store has, so that they change hands."""


class Bouncer:
    """A PgBouncer that exits when the process that started it does."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self._folder = folder
        self._cluster = cluster
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Return whether its process and its cluster's are running."""
        process = self._process
        return process is not None and process.poll() is None and self._cluster.runs

    def url(self, database: str) -> str:
        """Return the URL of one of the cluster's databases, through the pooler."""
        assert self.runs, self._said()
        return f"postgresql://hooktide@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start PgBouncer, and wait until it accepts connections."""
        give_to_owner(self._folder)
        (self._folder / "users").write_text('"hooktide" ""\n')
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(self._settings())
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                as_owner(program(), str(settings)), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY_TIMEOUT
        while not self._answers():
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < deadline, self._said()
            time.sleep(0.02)

    def _said(self) -> str:
        return (self._folder / "log").read_text()[-2000:]

    def _settings(self) -> str:
        return f"""\
[databases]
* = host=127.0.0.1 port={self._cluster.port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self._folder / "users"}
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
max_client_conn = 500
"""

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """Stop PgBouncer immediately."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def bouncer(cluster: Cluster) -> Iterator[Bouncer]:
    """Run a PgBouncer in front of a cluster."""
    with temporary_folder() as folder:
        running = Bouncer(folder, cluster)
        try:
            running.start()
            yield running
        finally:
            running.end()


@functools.cache
def program() -> str:
    """Return the path of PgBouncer, or an empty string if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


shared_bouncer = Shared(lambda: bouncer(shared()))
"""Returns the session's, in front of the session's cluster."""
