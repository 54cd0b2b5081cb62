"""TLS: names and dates are always checked, and errors are explained."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from certs import DAY, NOW, Root, make_root, server_context
from wire import LOOPBACK, NO_CONTENT, Behaviour, Peer, Receiver, keeping, post, receiving

from hooktide.domain.delivery.verdict import Outcome
from hooktide.outbound import Resolver, Sender
from hooktide.outbound.tls import default_tls

HOST = "hook.example.com"


@pytest.fixture(scope="module")
def root() -> Root:
    return make_root()


@pytest.fixture
async def trusting(root: Root) -> AsyncIterator[Sender]:
    """A sender with the production context that trusts the test root as well."""
    tls = default_tls()
    tls.load_verify_locations(cadata=root.pem)
    sender = Sender(LOOPBACK, resolver=Resolver(hosts={HOST: ["127.0.0.1"]}), tls=tls)
    yield sender
    await sender.close()


async def secure(
    sender: Sender, receiver: Receiver, host: str = HOST, timeout: float = 60
) -> Outcome:
    return await post(sender, receiver, scheme="https", host=host, timeout=timeout)


async def test_a_trusted_receiver_is_told_its_name_and_kept_connected(
    trusting: Sender, root: Root
) -> None:
    named: list[str] = []
    context = server_context(root, HOST)
    context.sni_callback = lambda _sock, name, _context: named.append(name)
    async with receiving(keeping(NO_CONTENT), tls=context) as receiver:
        assert (await secure(trusting, receiver)).status == 204
        assert (await secure(trusting, receiver)).status == 204
        assert named == [HOST]
        assert receiver.connections == 1
        assert f"\r\nhost: {HOST}:{receiver.port}\r\n".encode() in receiver.requests[0]


async def test_only_http_1_1_is_offered(trusting: Sender, root: Root) -> None:
    context = server_context(root, HOST)
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[str | None] = []

    async def behave(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await keeping(NO_CONTENT)(peer)

    async with receiving(behave, tls=context) as receiver:
        assert (await secure(trusting, receiver)).status == 204
        assert chosen == ["http/1.1"]


async def test_an_address_is_checked_against_the_certificate(trusting: Sender, root: Root) -> None:
    async with receiving(keeping(NO_CONTENT), tls=server_context(root, "127.0.0.1")) as receiver:
        assert (await secure(trusting, receiver, "127.0.0.1")).status == 204
    async with receiving(
        keeping(NO_CONTENT), tls=server_context(root, "127.0.0.1"), host="127.0.0.2"
    ) as receiver:
        wrong = await secure(trusting, receiver, "127.0.0.2")
        assert (wrong.error, wrong.detail) == (
            "tls_error",
            "the certificate is for another address",
        )


@pytest.mark.parametrize(
    ("case", "detail"),
    [
        ("expired", "the certificate has expired"),
        ("early", "the certificate is not valid yet"),
        ("wrong host", "the certificate is for another host name"),
        ("self-signed", "the certificate is self-signed"),
        ("unknown root", "the certificate's issuer is not known; the chain may be incomplete"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_refused_with_the_reason(
    trusting: Sender, root: Root, case: str, detail: str
) -> None:
    contexts = {
        "expired": lambda: server_context(root, HOST, start=NOW - 9 * DAY, end=NOW - DAY),
        "early": lambda: server_context(root, HOST, start=NOW + DAY, end=NOW + 9 * DAY),
        "wrong host": lambda: server_context(root, "other.example.com"),
        "self-signed": lambda: server_context(None, HOST),
        "unknown root": lambda: server_context(make_root(), HOST),
    }
    async with receiving(keeping(NO_CONTENT), tls=contexts[case]()) as receiver:
        outcome = await secure(trusting, receiver)
        assert (outcome.status, outcome.error, outcome.detail) == (None, "tls_error", detail)
        assert receiver.requests == []


async def test_a_bad_certificate_is_not_passed_over_for_the_next_address(root: Root) -> None:
    tls = default_tls()
    tls.load_verify_locations(cadata=root.pem)
    resolver = Resolver(hosts={HOST: ["127.0.0.1", "127.0.0.2"]})
    sender = Sender(LOOPBACK, resolver=resolver, tls=tls)
    async with receiving(keeping(NO_CONTENT), tls=server_context(None, HOST)) as bad:
        good = server_context(root, HOST)
        async with receiving(
            keeping(NO_CONTENT), tls=good, host="127.0.0.2", port=bad.port
        ) as other:
            assert (await secure(sender, bad)).error == "tls_error"
            assert other.connections == 0
    await sender.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_older_than_1_2_is_refused(trusting: Sender, root: Root) -> None:
    context = server_context(root, HOST)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with receiving(keeping(NO_CONTENT), tls=context) as receiver:
        assert (await secure(trusting, receiver)).error == "tls_error"
        assert receiver.requests == []
    assert default_tls().minimum_version == ssl.TLSVersion.TLSv1_2


async def test_plain_http_at_the_port_is_told_as_such(trusting: Sender) -> None:
    async def answer(peer: Peer) -> None:
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.writer.drain()

    async with receiving(answer) as receiver:
        outcome = await secure(trusting, receiver)
        assert (outcome.error, outcome.detail) == (
            "tls_error",
            "the receiver does not speak TLS on this port",
        )


async def test_a_handshake_that_stalls_ends_at_the_deadline(trusting: Sender) -> None:
    async def stall(peer: Peer) -> None:
        await peer.hang()

    async with receiving(stall) as receiver:
        outcome = await secure(trusting, receiver, timeout=0.5)
        assert outcome.error == "tls_error"
        assert outcome.detail == "the handshake did not finish in time"
        assert 490_000 <= outcome.duration < 60_000_000
        await asyncio.wait_for(receiver.gone.wait(), 30)


async def close(peer: Peer) -> None:
    await peer.reader.read(1)


async def plain(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("behave", [close, plain])
async def test_a_receiver_without_tls_is_a_tls_error(trusting: Sender, behave: Behaviour) -> None:
    async with receiving(behave) as receiver:
        outcome = await secure(trusting, receiver)
        assert (outcome.status, outcome.error) == (None, "tls_error")


async def test_an_answer_without_close_notify_stands(trusting: Sender, root: Root) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        await asyncio.sleep(0.05)
        peer.reset()

    async with receiving(behave, tls=server_context(root, HOST)) as receiver:
        outcome = await secure(trusting, receiver)
        assert (outcome.status, outcome.body) == (200, b"until the end")


async def test_a_receiver_that_wants_a_client_certificate_is_no_answer(
    trusting: Sender, root: Root
) -> None:
    context = server_context(root, HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=root.pem)
    async with receiving(keeping(NO_CONTENT), tls=context) as receiver:
        outcome = await secure(trusting, receiver)
        assert outcome.status is None
        assert outcome.error in ("tls_error", "connection_lost")


@pytest.mark.parametrize(
    ("version", "detail"),
    [
        (ssl.TLSVersion.TLSv1_3, "the receiver requires a client certificate, which is not sent"),
        (ssl.TLSVersion.TLSv1_2, "the receiver ended TLS: handshake failure"),
    ],
)
async def test_a_receiver_that_asks_for_a_client_certificate_is_understood(
    trusting: Sender, root: Root, version: ssl.TLSVersion, detail: str
) -> None:
    context = server_context(root, HOST)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(cadata=root.pem)
    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = asyncio.create_task(
            asyncio.to_thread(refuse_without_certificate, server, context)
        )
        port = server.getsockname()[1]
        outcome = await post(trusting, port, scheme="https", host=HOST, timeout=30)
        await serving
    assert (outcome.error, outcome.detail) == ("tls_error", detail)


def refuse_without_certificate(server: socket.socket, context: ssl.SSLContext) -> None:
    """Answer one handshake with the alert that OpenSSL sends, and read until the peer closes.

    asyncio's servers close before the alert is sent.
    """
    peer, _ = server.accept()
    with context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False) as secured:
        with pytest.raises(ssl.SSLError):
            secured.do_handshake()
        raw = socket.socket(fileno=secured.detach())
    with raw:
        while raw.recv(65536):
            pass
