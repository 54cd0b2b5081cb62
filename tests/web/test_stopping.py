"""A server that stops answers the connections that wait to be accepted: none is reset."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from starlette.responses import Response

from hooktide.web.http.acceptor import Connecting, SharedAcceptor
from hooktide.web.http.server import HttpServer

CLIENTS = 20
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.socket()) as made:
        made.bind(("127.0.0.1", 0))
        made.listen(128)
        made.setblocking(False)
        yield made


def clients_of(listener: socket.socket) -> list[socket.socket]:
    """Connect clients that ask at once: to them the connection is there, accepted or not."""
    clients = [socket.create_connection(listener.getsockname(), 30) for _ in range(CLIENTS)]
    for client in clients:
        client.sendall(REQUEST)
    return clients


async def answers_to(clients: Sequence[socket.socket]) -> list[bytes]:
    return await asyncio.gather(*[asyncio.to_thread(each.recv, 65536) for each in clients])


@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("shared", [False, True])
async def test_what_waits_to_be_accepted_is_answered(
    listener: socket.socket, shared: bool, leave: bool
) -> None:
    async def finish() -> None:
        pass

    server = HttpServer(
        Response("hello"), opened=lambda: None, finish=finish, within=10, shared=shared
    )
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup([listener])
    clients = clients_of(listener)
    server.begin_to_stop(leave=leave)
    answering = asyncio.ensure_future(answers_to(clients))
    await server.shutdown([listener])
    answers = await answering
    assert [answer.splitlines()[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * CLIENTS
    for client in clients:
        client.close()


async def test_a_connection_is_taken_once_the_socket_is_closed() -> None:
    """Another process may still have it open, and get the ones that come later."""

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(b"hello")
            transport.close()

    made = socket.create_server(("127.0.0.1", 0), backlog=128)
    made.setblocking(False)
    connecting = Connecting(Greeting)
    acceptor = SharedAcceptor(made, connecting, lambda: 0)
    clients = clients_of(made)
    acceptor.close()
    await connecting.connected()
    assert await answers_to(clients) == [b"hello"] * CLIENTS
    for client in clients:
        client.close()
