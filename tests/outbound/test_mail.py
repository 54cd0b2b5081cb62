"""Sending mail through a relay that accepts, refuses, uses TLS or misbehaves."""

import asyncio
import socket
import ssl

import certs
import pytest
from smtpkit import Relay as StandIn
from smtpkit import relaying
from wire import Behaviour, Peer, receiving

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.messages.mail import Relay
from hooktide.outbound import Mailer

MAIL = b"Subject: test\r\n\r\n.\r\n..two\r\nthe end\r\n"
LOGIN = ("me", "s3cret")


@pytest.fixture(scope="module")
def root() -> certs.Root:
    return certs.make_root()


def trusting(root: certs.Root) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=root.pem)


async def send(
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] = ("", ""),
    timeout: float = 60,
) -> Outcome:
    relay = Relay("127.0.0.1", port, False, *login)
    return await Mailer(relay, "hooktide@example.com", tls).send("ops@example.com", MAIL, timeout)


async def test_a_relay_takes_a_mail_byte_for_byte() -> None:
    async with relaying() as relay:
        outcome = await send(relay.port)
    assert (outcome.status, outcome.error, outcome.body) == (250, "", b"queued as 1")
    assert outcome.duration > 0
    [taken] = relay.taken
    assert (taken.sender, taken.to) == ("hooktide@example.com", "ops@example.com")
    assert taken.raw == MAIL
    assert relay.faults == []


async def test_where_tls_is_offered_it_is_used_and_the_password_goes_in_it(
    root: certs.Root,
) -> None:
    stand_in = StandIn(tls=certs.server_context(root, "127.0.0.1"), login=LOGIN)
    async with relaying(stand_in) as relay:
        outcome = await send(relay.port, tls=trusting(root), login=LOGIN)
    assert outcome.status == 250
    assert (len(relay.taken), relay.passwords_in_clear) == (1, 0)


async def test_tls_from_the_start_is_spoken_where_the_url_says_so(root: certs.Root) -> None:
    relay = StandIn()
    context = certs.server_context(root, "127.0.0.1")
    async with receiving(relay.serve, tls=context) as receiver:
        secure = Relay("127.0.0.1", receiver.port, True)
        mailer = Mailer(secure, "hooktide@example.com", trusting(root))
        outcome = await mailer.send("ops@example.com", MAIL, 60)
        stranger = Mailer(secure, "hooktide@example.com")
        refused = await stranger.send("ops@example.com", MAIL, 60)
    assert (outcome.status, [each.raw for each in relay.taken]) == (250, [MAIL])
    assert (refused.error, refused.detail) == (
        "tls_error",
        "the mail relay's TLS: CERTIFICATE_VERIFY_FAILED",
    )


async def test_a_password_that_is_refused_says_so(root: certs.Root) -> None:
    stand_in = StandIn(
        tls=certs.server_context(root, "127.0.0.1"),
        login=LOGIN,
        script={"AUTH": [b"535 5.7.8 no", b"535 5.7.8 no"]},
    )
    async with relaying(stand_in) as relay:
        outcome = await send(relay.port, tls=trusting(root), login=LOGIN)
    assert (outcome.status, outcome.detail) == (535, "AUTH: 535 5.7.8 no")


async def test_bytes_that_are_no_utf8_in_an_answer_are_shown() -> None:
    async with relaying(StandIn(script={"MAIL": [b"550 gr\xfc\xdfe"]})) as relay:
        outcome = await send(relay.port)
    assert outcome.detail == "MAIL FROM:<hooktide@example.com>: 550 gr\ufffd\ufffde"


async def test_a_mail_that_was_taken_does_not_wait_for_the_answer_to_quit() -> None:
    async with relaying(StandIn(script={"QUIT": [b"221-hold on"]})) as relay:
        outcome = await send(relay.port, timeout=30)
    assert (outcome.status, outcome.error) == (250, "")


async def test_a_password_is_never_sent_in_the_clear() -> None:
    async with relaying(StandIn(login=LOGIN)) as relay:
        outcome = await send(relay.port, login=LOGIN)
    assert outcome.error == "tls_error"
    assert (relay.taken, relay.passwords_in_clear) == ([], 0)


async def test_a_relay_that_nobody_vouches_for_is_not_spoken_to(root: certs.Root) -> None:
    stand_in = StandIn(tls=certs.server_context(root, "127.0.0.1"), login=LOGIN)
    async with relaying(stand_in) as relay:
        outcome = await send(relay.port, login=LOGIN)
    assert (outcome.error, relay.taken) == ("tls_error", [])


@pytest.mark.parametrize(
    ("command", "answer", "status", "error"),
    [
        ("RCPT", b"550 5.1.1 unknown", 550, ""),
        ("RCPT", b"451-greylisted\r\n451 later", 451, ""),
        ("MAIL", b"530 5.7.0 log in", 530, ""),
        ("DATA", b"250 strange", None, "invalid_response"),
        ("EHLO", b"hello", None, "invalid_response"),
    ],
)
async def test_what_a_relay_refuses_says_where_and_why(
    command: str, answer: bytes, status: int | None, error: str
) -> None:
    async with relaying(StandIn(script={command: [answer]})) as relay:
        outcome = await send(relay.port)
    assert (outcome.status, outcome.error) == (status, error)
    assert relay.taken == []
    if status:
        assert outcome.detail.startswith(command)
        assert str(status) in outcome.detail


async def silent(peer: Peer) -> None:
    await peer.hang()


async def cut(peer: Peer) -> None:
    await peer.send(b"220 hi\r\n")
    await peer.reader.readuntil(b"\n")
    peer.reset()


async def endless(peer: Peer) -> None:
    while True:
        await peer.send(b"220-x" * 1000)


@pytest.mark.parametrize(
    ("behave", "errors"),
    [
        (silent, {"timeout"}),
        (cut, {"connection_lost", "invalid_response"}),
        (endless, {"invalid_response", "connection_lost"}),
    ],
)
async def test_whatever_a_relay_does_comes_back_as_a_value(
    behave: Behaviour, errors: set[str]
) -> None:
    async with receiving(behave) as receiver:
        timeout = 1 if behave is silent else 60
        assert (await send(receiver.port, timeout=timeout)).error in errors


async def test_a_relay_that_is_not_there_is_a_value_too() -> None:
    with socket.socket() as held:  # bound and not listening, to reserve the port
        held.bind(("127.0.0.1", 0))
        outcome = await send(held.getsockname()[1])
    assert outcome.error == "connect_error"


async def test_a_mail_that_is_given_up_closes_its_connection() -> None:
    async with receiving(silent) as receiver:
        task = asyncio.create_task(send(receiver.port, timeout=60))
        async with asyncio.timeout(30):
            while not receiver.connections:
                await asyncio.sleep(0.005)
            task.cancel()
            await receiver.gone.wait()
    assert task.cancelled() or task.done()
