"""The receiver: an nginx with one worker that answers 204 and counts.

One port for each account, so that the sender keeps a pool for each, as it does for customers.
"""

import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import BenchError, Child, Usage

START_TIMEOUT = 5.0

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
worker_processes 1;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  log_format receipts '$msec $http_webhook_id';
  access_log off;
  server {{ {listens} {access_log} location / {{ return 204; }} }}
  server {{ listen 127.0.0.1:{counter}; location / {{ stub_status; }} }}
}}
"""


class Receiver:
    """A running nginx: where it listens, what it has received, what it has used."""

    def __init__(self, child: Child, ports: list[int], counter: int, receipts: Path) -> None:
        self._child = child
        self._counter = counter
        self._asked = 0
        self._receipts = receipts
        self.ports = ports

    def received(self) -> int:
        """Return how many requests it has answered, these questions not counted."""
        self._asked += 1
        with urllib.request.urlopen(f"http://127.0.0.1:{self._counter}/", timeout=5) as answer:
            requests = int(answer.read().split()[9])
        return requests - self._asked

    def usage(self) -> Usage:
        """Return what its processes have used."""
        return self._child.usage()

    def receipts(self) -> dict[str, float]:
        """End it, and return when (Unix seconds) each webhook id first came in.

        nginx cuts its clock to whole milliseconds: half of one is put back.
        """
        self._child.stop()
        first: dict[str, float] = {}
        for line in self._receipts.read_text().splitlines():
            at, _, webhook_id = line.partition(" ")
            first.setdefault(webhook_id, float(at) + 0.0005)
        return first


@contextmanager
def receiver(folder: Path, accounts: int, *, keep_receipts: bool = False) -> Iterator[Receiver]:
    """Start an nginx, and end it."""
    binary = nginx_program()
    if binary is None:
        raise BenchError("nginx is missing: install it (Debian: apt install nginx-light)")
    *ports, counter = free_ports(accounts + 1)
    receipts = folder / "receipts.log"
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            listens=" ".join(f"listen 127.0.0.1:{port};" for port in ports),
            counter=counter,
            access_log=f"access_log {receipts} receipts buffer=256k;" if keep_receipts else "",
        )
    )
    command: list[str | Path] = [binary, "-p", folder, "-e", folder / "nginx.log", "-c", config]
    with Child(command, folder / "nginx.log", stop_with=signal.SIGQUIT) as child:
        await_port(child, counter)
        yield Receiver(child, ports, counter, receipts)


def nginx_program() -> str | None:
    """Find nginx, which Debian keeps where an ordinary user's PATH does not look."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_port(child: Child, port: int) -> None:
    """Wait until a receiver listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        child.check()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise BenchError(f"nothing listens on {port} after {START_TIMEOUT:.0f} s: {child.said()}")
