"""What one POST over a kept-alive connection costs: CPU microseconds of ``Sender.post``.

Run it as ``python -m bench.sender_cost``. The receiver is nginx where it is installed, else a small
asyncio server; either way another process, whose CPU is not counted. With ``--json`` the last line
is an object with the cost at the last concurrency.
"""

import argparse
import asyncio
import multiprocessing
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from bench.receiver import free_ports, nginx_program
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.outbound import Resolver, Sender

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 204; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run showed."""

    posts: int
    seconds: float
    cpu_seconds: float

    @property
    def micros(self) -> float:
        """CPU microseconds per POST."""
        return self.cpu_seconds / self.posts * 1e6


def measure(
    port: int, *, seconds: float = 3.0, concurrency: int = 32, body_size: int = 1024
) -> Cost:
    """Post to ``127.0.0.1:port`` from this process for some seconds."""
    return uvloop.run(_measure(port, seconds, concurrency, body_size))


async def _measure(port: int, seconds: float, concurrency: int, body_size: int) -> Cost:
    policy = UrlPolicy(allow_http=True, allow_networks=("127.0.0.0/8",))
    sender = Sender(policy, resolver=Resolver())
    target = check_url(f"http://127.0.0.1:{port}/hook", policy)
    body = b"x" * body_size
    head = target.prefix + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )
    posts = 0
    running = True

    async def post_on() -> None:
        nonlocal posts
        while running:
            outcome = await sender.post(target, head, body, 10.0)
            assert outcome.status == 204, outcome
            posts += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(post_on())
        await asyncio.sleep(0.5)
        before, cpu, clock = posts, time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cost = Cost(posts - before, time.monotonic() - clock, time.process_time() - cpu)
        running = False
    await sender.close()
    return cost


@contextmanager
def receiver() -> Iterator[int]:
    """Run a receiver that answers 204 in another process; yields its port."""
    (port,) = free_ports(1)
    program = nginx_program()
    with _nginx(program, port) if program else _python(port):
        _wait_for(port)
        yield port


@contextmanager
def _nginx(program: str, port: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port))
        command = [program, "-p", folder, "-c", str(config), "-e", "stderr"]
        process = subprocess.Popen(command)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _python(port: int) -> Iterator[None]:
    process = multiprocessing.Process(target=_serve, args=(port,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _serve(port: int) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


class _Receiver(asyncio.Protocol):
    """Answers each read: the sender waits for its answer, so a read is a request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        self._write(ANSWER)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the receiver did not start")


def main() -> None:
    """Print the cost at a few concurrencies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--body", type=int, default=1024)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--json", action="store_true", help="the last line is JSON")
    options = parser.parse_args()
    micros = 0.0
    with receiver() as port:
        for concurrency in options.concurrency:
            cost = measure(
                port, seconds=options.seconds, concurrency=concurrency, body_size=options.body
            )
            micros = cost.micros
            print(
                f"{concurrency:4} at once: {micros:5.1f} us of CPU a POST, "
                f"{cost.posts / cost.seconds:8,.0f} POSTs/s"
            )
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if options.json:
        print(msgspec.json.encode({"cpu_us_per_post": round(micros, 2)}).decode())


if __name__ == "__main__":
    main()
