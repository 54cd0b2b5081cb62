"""A real SMTP server on loopback, as strict as RFC 5321 requires."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

from wire import Peer, receiving


@dataclass
class Relayed:
    """A message that the relay accepted."""

    sender: str
    to: str
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=SMTP)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        return str(self.mail.get_content())


@dataclass
class Relay:
    """A relay. ``script`` overrides responses, by SMTP verb.

    ``login`` is the only allowed user, who has to use STARTTLS.
    """

    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    port: int = 0
    script: dict[str, list[bytes]] = field(default_factory=dict)
    taken: list[Relayed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    passwords_in_clear: int = 0

    async def serve(self, peer: Peer) -> None:
        talk = Talk(self, peer.reader, peer.writer)
        await peer.send(b"220 relay.example.com ESMTP\r\n")
        while not talk.ended:
            await talk.line(await peer.reader.readuntil(b"\n"))


class Talk:
    def __init__(
        self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.relay, self.reader, self.writer = relay, reader, writer
        self.secure = self.greeted = self.known = self.ended = False
        self.sender = self.to = ""

    async def line(self, raw: bytes) -> None:
        if not raw.endswith(b"\r\n") or len(raw) > 512 or not raw.isascii():
            self.relay.faults.append(f"line {raw!r}")
        text = raw.decode("latin-1").rstrip("\r\n")
        word = text.partition(" ")[0].upper()
        scripted = self.relay.script.get(word)
        if scripted:
            await self.say(scripted.pop(0))
            return
        handler = getattr(self, f"do_{word.lower()}", None)
        await (self.say(b"500 what?") if handler is None else handler(text))

    async def say(self, answer: bytes) -> None:
        self.writer.write(answer + b"\r\n")
        await self.writer.drain()

    async def do_ehlo(self, text: str) -> None:
        self.greeted = True
        lines = [b"relay.example.com", b"SIZE 100000"]
        if self.relay.tls and not self.secure:
            lines.append(b"STARTTLS")
        if self.relay.login and self.secure:
            lines.append(b"AUTH LOGIN PLAIN")
        for line in lines[:-1]:
            await self.say(b"250-" + line)
        await self.say(b"250 " + lines[-1])

    async def do_starttls(self, text: str) -> None:
        assert self.relay.tls is not None
        await self.say(b"220 go")
        await self.writer.start_tls(self.relay.tls)
        self.secure, self.greeted = True, False

    async def do_auth(self, text: str) -> None:
        self.relay.passwords_in_clear += not self.secure
        _, user, password = base64.b64decode(text.split()[2]).decode().split("\0")
        self.known = (user, password) == self.relay.login
        await self.say(b"235 welcome" if self.known else b"535 no")

    async def do_mail(self, text: str) -> None:
        if not self.greeted or (self.relay.login and not self.known):
            await self.say(b"530 log in first")
            return
        self.sender = text.partition("<")[2].rstrip(">")
        await self.say(b"250 ok")

    async def do_rcpt(self, text: str) -> None:
        self.to = text.partition("<")[2].rstrip(">")
        await self.say(b"250 ok" if self.sender else b"503 MAIL first")

    async def do_data(self, text: str) -> None:
        await self.say(b"354 go on" if self.to else b"503 RCPT first")
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\n")) != b".\r\n":
            if not line.endswith(b"\r\n") or len(line) > 1000 or not line.isascii():
                self.relay.faults.append(f"data {line!r}")
            lines.append(line[1:] if line.startswith(b".") else line)
        self.relay.taken.append(Relayed(self.sender, self.to, b"".join(lines)))
        await self.say(b"250 queued as 1")

    async def do_quit(self, text: str) -> None:
        await self.say(b"221 bye")
        self.ended = True


@asynccontextmanager
async def relaying(relay: Relay | None = None) -> AsyncIterator[Relay]:
    """Run a relay."""
    made = relay or Relay()
    async with receiving(made.serve) as receiver:
        made.port = receiver.port
        yield made
