"""Mail, handed to the operator's relay (RFC 5321): one connection a mail, one deadline over all.

The relay is the operator's own, so it may be anywhere. A password is never sent in the clear.
What the relay answers comes back as an ``Outcome`` whose status is SMTP's own code: 250 is taken.
"""

import asyncio
import base64
import ssl
import time

from hooktide.domain.mail import Relay
from hooktide.domain.verdict import Outcome

LONGEST_LINE = 4096
MOST_LINES = 100


class Mailer:
    """Hands mail to a relay."""

    def __init__(self, relay: Relay, sender: str, tls: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._tls = tls or ssl.create_default_context()
        self.sender = sender

    async def send(self, to: str, mail: bytes, timeout: float) -> Outcome:
        """Hand in one mail (head and body, CRLF at each line's end) for one recipient."""
        started = time.monotonic()
        outcome = await self._try(to, mail, timeout)
        duration = int((time.monotonic() - started) * 1_000_000)
        return Outcome(
            status=outcome.status,
            error=outcome.error,
            detail=outcome.detail,
            body=outcome.body,
            duration=duration,
        )

    async def _try(self, to: str, mail: bytes, timeout: float) -> Outcome:
        talk: _Talk | None = None
        try:
            async with asyncio.timeout(timeout):
                talk = await self._connect()
                return await self._hand_in(talk, to, mail)
        except TimeoutError:
            return Outcome(error="timeout", detail="the mail relay did not answer in time")
        except ssl.SSLError as error:
            return Outcome(error="tls_error", detail=f"the mail relay's TLS: {error.reason}")
        except _RefusedError as refused:
            return refused.outcome
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return Outcome(error="invalid_response", detail="the mail relay does not speak SMTP")
        except OSError as error:
            reached = "connection_lost" if talk else "connect_error"
            return Outcome(error=reached, detail=f"the mail relay: {error.strerror or 'gone'}")
        finally:
            if talk is not None:
                talk.close()

    async def _connect(self) -> "_Talk":
        relay = self._relay
        tls = self._tls if relay.secure else None
        reader, writer = await asyncio.open_connection(
            relay.host, relay.port, ssl=tls, limit=LONGEST_LINE
        )
        return _Talk(reader, writer)

    async def _hand_in(self, talk: "_Talk", to: str, mail: bytes) -> Outcome:
        await talk.expect("", 220)
        offered = await self._greet(talk)
        if not self._relay.secure and "STARTTLS" in offered:
            await talk.ask("STARTTLS", 220)
            await talk.secure(self._tls, self._relay.host)
            offered = await self._greet(talk)
        await self._log_in(talk, offered)
        await talk.ask(f"MAIL FROM:<{self.sender}>", 250)
        await talk.ask(f"RCPT TO:<{to}>", 250)
        await talk.ask("DATA", 354)
        await talk.write(_stuffed(mail) + b".\r\n")
        code, text = await talk.expect("the mail", 250)
        return Outcome(status=code, body=text.encode("latin-1")[:4096])

    async def _greet(self, talk: "_Talk") -> set[str]:
        _, text = await talk.ask("EHLO hooktide.invalid", 250)
        return {line.upper() for line in text.split("\n")}

    async def _log_in(self, talk: "_Talk", offered: set[str]) -> None:
        relay = self._relay
        if not relay.user:
            return
        if not talk.is_secure:
            raise _RefusedError(
                Outcome(error="tls_error", detail="the relay offers no TLS to send a password in")
            )
        if not any(line.startswith("AUTH ") and "PLAIN" in line.split() for line in offered):
            raise _RefusedError(
                Outcome(error="invalid_response", detail="the relay offers no AUTH PLAIN")
            )
        secret = base64.b64encode(f"\0{relay.user}\0{relay.password}".encode()).decode()
        await talk.ask(f"AUTH PLAIN {secret}", 235, said="AUTH")


class _Talk:
    """A conversation with a relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_secure(self) -> bool:
        return self._writer.get_extra_info("ssl_object") is not None

    async def secure(self, tls: ssl.SSLContext, host: str) -> None:
        await self._writer.start_tls(tls, server_hostname=host)

    async def ask(self, line: str, wanted: int, said: str = "") -> tuple[int, str]:
        await self.write(line.encode("ascii") + b"\r\n")
        return await self.expect(said or line, wanted)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def expect(self, said: str, wanted: int) -> tuple[int, str]:
        """Read an answer; what is none of the ``wanted`` hundreds ends the conversation."""
        code, text = await self._answer()
        if code // 100 != wanted // 100:
            detail = f"{said}: {code} {text}" if said else f"{code} {text}"
            status = code if 400 <= code <= 599 else None
            error = "" if status else "invalid_response"
            raise _RefusedError(Outcome(status=status, error=error, detail=detail[:500]))
        return code, text

    async def _answer(self) -> tuple[int, str]:
        lines: list[str] = []
        while len(lines) < MOST_LINES:
            line = (await self._reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)
        raise ValueError("an answer without end")

    def close(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(b"QUIT\r\n")
        self._writer.close()


class _RefusedError(Exception):
    """The relay took it not; carries what to make of it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


def _stuffed(mail: bytes) -> bytes:
    """Double the dots that lines begin with: a line of one dot ends the mail."""
    lines = mail.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
