"""Connections that cannot be made, local errors, and the egress proxy."""

import asyncio
import errno
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest
from certs import make_root, server_context
from wire import LOOPBACK, NO_CONTENT, Behaviour, Peer, keeping, post, receiving

from hooktide.domain.http.address import UrlPolicy, check_proxy
from hooktide.outbound import Resolver, Sender
from hooktide.outbound.tls import default_tls

HOST = "hook.example.com"


async def test_a_refused_connection_is_a_connect_error(sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = await post(sender, port)
    assert (outcome.error, outcome.local) == ("connect_error", False)
    assert outcome.detail == "could not connect: connection refused"


async def test_every_address_is_tried_while_there_is_time() -> None:
    refusing = [f"127.0.0.{n}" for n in range(2, 16)]
    resolver = Resolver(hosts={HOST: [*refusing, "127.0.0.1"]})
    sender = Sender(LOOPBACK, resolver=resolver)
    async with receiving(keeping(NO_CONTENT)) as receiver:
        assert (await post(sender, receiver, host=HOST)).status == 204
    await sender.close()


async def test_an_address_that_does_not_answer_holds_up_the_next_for_a_moment_only() -> None:
    with ExitStack() as stack:
        port = full_listeners(stack, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
        silent = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]
        sender = Sender(LOOPBACK, resolver=Resolver(hosts={HOST: [*silent, "127.0.0.1"]}))
        async with receiving(keeping(NO_CONTENT), port=port) as receiver:
            outcome = await post(sender, receiver, host=HOST, timeout=30)
            assert outcome.status == 204  # within the connect budget, which is over after 3 s
            assert (await post(sender, receiver, host=HOST, timeout=30)).status == 204
            assert receiver.connections == 1
        await sender.close()


async def test_addresses_that_all_are_silent_end_with_the_connect_budget() -> None:
    with ExitStack() as stack:
        port = full_listeners(stack, "127.0.0.2", "127.0.0.3")
        hosts = {HOST: ["127.0.0.2", "127.0.0.3"]}
        sender = Sender(LOOPBACK, resolver=Resolver(hosts=hosts))
        outcome = await post(sender, port, host=HOST, timeout=30)
        assert (outcome.error, outcome.local) == ("connect_error", False)
        assert 2_900_000 <= outcome.duration < 60_000_000
        await sender.close()


def full_listeners(stack: ExitStack, *addresses: str) -> int:
    """Listen at these addresses on one port with full backlogs, which accept no connection."""
    port = 0
    for address in addresses:
        server = stack.enter_context(socket.socket())
        server.bind((address, port))
        port = server.getsockname()[1]
        server.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
    return port


async def test_a_receiver_that_takes_no_connection_ends_at_the_deadline(sender: Sender) -> None:
    with ExitStack() as stack:
        outcome = await post(sender, full_listeners(stack, "127.0.0.1"), timeout=0.3)
    assert (outcome.status, outcome.error) == (None, "connect_error")
    assert 290_000 <= outcome.duration < 60_000_000


async def test_running_out_of_files_is_a_local_error_and_closes_idle_connections(
    sender: Sender,
) -> None:
    async with receiving(keeping(NO_CONTENT)) as idle, receiving(keeping(NO_CONTENT)) as receiver:
        assert (await post(sender, idle)).status == 204
        with no_files_left():
            outcome = await post(sender, receiver)
        assert (outcome.error, outcome.local) == ("local_error", True)
        await asyncio.wait_for(idle.gone.wait(), 30)
        assert (await post(sender, receiver)).status == 204


@pytest.mark.parametrize(
    ("number", "address", "error"),
    [
        (errno.EADDRNOTAVAIL, "127.0.0.1", "local_error"),
        (errno.ENOBUFS, "127.0.0.1", "local_error"),
        (errno.ENETUNREACH, "127.0.0.1", "local_error"),
        (errno.ENETUNREACH, "::1", "connect_error"),
        (errno.EHOSTUNREACH, "127.0.0.1", "connect_error"),
        (errno.ETIMEDOUT, "127.0.0.1", "connect_error"),
    ],
)
async def test_the_kernels_error_decides_whether_a_failure_is_local(
    monkeypatch: pytest.MonkeyPatch, number: int, address: str, error: str
) -> None:
    async def fail(*_args: object, **_options: object) -> None:
        raise OSError(number, "as the kernel says")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    sender = Sender(LOOPBACK, resolver=Resolver(hosts={HOST: [address]}))
    outcome = await post(sender, 8443, host=HOST)
    assert (outcome.error, outcome.local) == (error, error == "local_error")
    await sender.close()


async def test_a_peer_that_is_not_the_vetted_address_is_sent_nothing(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_elsewhere(
        factory: Callable[[], asyncio.Protocol], _host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        return await connect(factory, "127.0.0.2", port)

    monkeypatch.setattr(loop, "create_connection", connect_elsewhere)
    async with receiving(keeping(NO_CONTENT), host="127.0.0.2") as receiver:
        assert (await post(sender, receiver)).error == "connection_lost"
        assert receiver.requests == []


@contextmanager
def no_files_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def tunnelling(asked: list[str], answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> Behaviour:
    """A proxy that sends this response and, if it is a 200, forwards bytes in both directions."""

    async def behave(peer: Peer) -> None:
        head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        await peer.send(answer)
        match = re.match(r"CONNECT ([0-9.]+):([0-9]+) HTTP/1\.1\r\n", head)
        if b" 200 " not in answer or match is None:
            return
        reader, writer = await asyncio.open_connection(match[1], int(match[2]))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(peer.reader, writer))
                group.create_task(carry(reader, peer.writer))
        finally:
            writer.transport.abort()

    return behave


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def through(
    port: int, policy: UrlPolicy = LOOPBACK, root: str | None = None
) -> AsyncIterator[Sender]:
    tls = default_tls()
    if root is not None:
        tls.load_verify_locations(cadata=root)
    sender = Sender(
        policy,
        resolver=Resolver(hosts={HOST: ["127.0.0.1"], "squid": ["127.0.0.1"]}),
        proxy=check_proxy(f"http://squid:{port}"),
        tls=tls,
    )
    try:
        yield sender
    finally:
        await sender.close()


async def test_http_goes_through_the_proxy_to_the_vetted_address() -> None:
    asked: list[str] = []
    async with (
        receiving(keeping(NO_CONTENT)) as receiver,
        receiving(tunnelling(asked)) as proxy,
        through(proxy.port) as sender,
    ):
        assert (await post(sender, receiver, host=HOST)).status == 204
        assert (await post(sender, receiver, host=HOST)).status == 204
        authority = f"127.0.0.1:{receiver.port}"
        assert asked == [f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n"]
        assert f"\r\nhost: {HOST}:".encode() in receiver.requests[0]


async def test_https_goes_through_the_proxy_and_the_name_is_checked() -> None:
    root = make_root()
    async with (
        receiving(keeping(NO_CONTENT), tls=server_context(root, HOST)) as right,
        receiving(keeping(NO_CONTENT), tls=server_context(root, "other.example.com")) as wrong,
        receiving(tunnelling([])) as proxy,
        through(proxy.port, root=root.pem) as sender,
    ):
        assert (await post(sender, right, scheme="https", host=HOST)).status == 204
        assert (await post(sender, wrong, scheme="https", host=HOST)).error == "tls_error"


async def test_what_is_forbidden_is_not_asked_of_the_proxy() -> None:
    async with receiving(tunnelling([])) as proxy, through(proxy.port, UrlPolicy()) as sender:
        assert (await post(sender, 8443, host=HOST)).error == "destination_forbidden"
        assert proxy.connections == 0


@pytest.mark.parametrize(
    ("answer", "error", "local"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "connect_error", False),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "connect_error", False),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "local_error", True),
        (b"SSH-2.0\r\n\r\n", "local_error", True),
        (b"", "local_error", True),
    ],
)
async def test_a_failing_proxy_determines_whether_the_error_is_local(
    answer: bytes, error: str, local: bool
) -> None:
    async with receiving(tunnelling([], answer)) as proxy, through(proxy.port) as sender:
        outcome = await post(sender, 8443, host=HOST)
        assert (outcome.error, outcome.local) == (error, local)


async def test_an_unavailable_proxy_is_a_local_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with through(port) as sender:
        outcome = await post(sender, 8443, host=HOST)
        assert (outcome.error, outcome.local) == ("local_error", True)


async def test_a_proxy_that_hangs_ends_at_the_deadline() -> None:
    async def hang(peer: Peer) -> None:
        await peer.hang()

    async with receiving(hang) as proxy, through(proxy.port) as sender:
        outcome = await post(sender, 8443, host=HOST, timeout=0.2)
        assert (outcome.error, outcome.local) == ("connect_error", False)
        assert 190_000 <= outcome.duration < 60_000_000


async def test_an_address_without_a_route_closes_no_idle_connection_to_another(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connect_by_route(
        factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if host == "127.0.0.9":
            raise OSError(errno.ENETUNREACH, "as the kernel says")
        return await connect(factory, host, port)

    monkeypatch.setattr(loop, "create_connection", connect_by_route)
    async with receiving(keeping(NO_CONTENT)) as receiver:
        assert (await post(sender, receiver)).status == 204
        outcome = await post(sender, receiver, host="127.0.0.9")
        assert (outcome.error, outcome.local) == ("local_error", True)
        assert (await post(sender, receiver)).status == 204
        assert receiver.connections == 1


ROUTES = """
import asyncio, sys
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.outbound import Resolver, Sender

async def answer(reader, writer):
    while await reader.readuntil(b"{}"):
        writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def main():
    server = await asyncio.start_server(answer, "10.9.8.7", 8080)
    policy = UrlPolicy(allow_http=True, allow_networks=("10.0.0.0/8",))
    sender = Sender(policy, resolver=Resolver())
    async def post(host):
        target = check_url(f"http://{host}:8080/", policy)
        head = b"POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 2\\r\\n\\r\\n"
        outcome = await sender.post(target, head, b"{}", 30)
        print(outcome.status or outcome.error, outcome.local)
    for host in sys.argv[1:]:
        await post(host)
    await sender.close()

asyncio.run(main())
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode != 0,
    reason="needs a network namespace",
)
def test_a_missing_route_is_the_receivers_failure_once_another_has_answered() -> None:
    lost, other = "10.200.0.1", "10.9.8.7"
    script = 'ip link set lo up && ip addr add 10.9.8.7/32 dev lo && exec "$0" -c "$@"'
    command = ["unshare", "-rn", "bash", "-c", script, sys.executable, ROUTES, lost, other, lost]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "local_error True",
        "204 False",
        "connect_error False",
    ]
