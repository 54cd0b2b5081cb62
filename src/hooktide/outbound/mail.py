"""Mail, passed to the operator's relay (RFC 5321): one connection per mail, one overall deadline.

The relay is the operator's own, so it may have any address. A password is never sent in plain text.
The relay's response is returned as an ``Outcome`` with the SMTP status: 250 means accepted.
"""

import asyncio
import ssl
import time

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPDataError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.messages.mail import AT_RECIPIENT, Relay

LOCAL_HOSTNAME = "hooktide.invalid"
MAX_DETAIL = 500
MAX_BODY = 4096


class Mailer:
    """Passes mail to a relay."""

    def __init__(self, relay: Relay, sender: str, tls: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._tls = tls or ssl.create_default_context()
        self.sender = sender

    async def send(self, to: str, mail: bytes, timeout: float) -> Outcome:
        """Send one mail (head and body, with CRLF line ends) to one recipient."""
        started = time.monotonic()
        outcome = await self._try(to, mail, timeout)
        return msgspec.structs.replace(
            outcome, duration=int((time.monotonic() - started) * 1_000_000)
        )

    async def _try(self, to: str, mail: bytes, timeout: float) -> Outcome:
        client = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            local_hostname=LOCAL_HOSTNAME,
            use_tls=self._relay.secure,
            tls_context=self._tls,
            timeout=None,
        )
        try:
            async with asyncio.timeout(timeout):
                return await self._hand_in(client, to, mail)
        except TimeoutError:
            return Outcome(error="timeout", detail="the mail relay did not answer in time")
        except (SMTPException, OSError) as error:
            return _failed(error, self.sender, to)
        finally:
            # The response to QUIT is not awaited: the outcome of the mail is known.
            if client.protocol is not None and client.is_connected:
                client.protocol.write(b"QUIT\r\n")
            client.close()

    async def _hand_in(self, client: SMTP, to: str, mail: bytes) -> Outcome:
        await client.connect()  # with STARTTLS if it is offered
        if self._relay.user:
            if client.get_transport_info("sslcontext") is None:
                return Outcome(
                    error="tls_error",
                    detail="the relay offers no TLS, without which no password is sent",
                )
            await client.login(self._relay.user, self._relay.password)
        await client.mail(self.sender)
        await client.rcpt(to)
        code, text = await client.data(mail)
        return Outcome(status=code, body=_encode(text)[:MAX_BODY])


def _failed(error: SMTPException | OSError, sender: str, to: str) -> Outcome:
    """Return the outcome for an error of the connection, of TLS, or from the relay."""
    cause = error.__cause__ if isinstance(error, SMTPConnectError) else error
    if isinstance(cause, ssl.SSLError):
        return Outcome(error="tls_error", detail=f"the mail relay's TLS: {cause.reason}")
    if isinstance(error, SMTPResponseException):
        return _refused(error, sender, to)
    if isinstance(cause, SMTPServerDisconnected):
        return Outcome(error="connection_lost", detail="the mail relay: gone")
    if isinstance(cause, OSError):
        reached = "connect_error" if isinstance(error, SMTPConnectError) else "connection_lost"
        return Outcome(error=reached, detail=f"the mail relay: {cause.strerror or 'gone'}")
    return Outcome(error="invalid_response", detail=f"the mail relay: {error}"[:MAX_DETAIL])


def _refused(error: SMTPResponseException, sender: str, to: str) -> Outcome:
    text = _encode(error.message).decode("utf-8", "replace")
    if not 400 <= error.code <= 599:
        detail = f"the mail relay does not speak SMTP: {text}"
        return Outcome(error="invalid_response", detail=detail[:MAX_DETAIL])
    match error:
        case SMTPConnectResponseError():
            at = ""
        case SMTPHeloError():
            at = f"EHLO {LOCAL_HOSTNAME}: "
        case SMTPAuthenticationError():
            at = "AUTH: "
        case SMTPSenderRefused():
            at = f"MAIL FROM:<{sender}>: "
        case SMTPRecipientRefused():
            at = f"{AT_RECIPIENT}:<{to}>: "
        case SMTPDataError():
            at = "DATA: "
        case _:
            at = "STARTTLS: "
    return Outcome(status=error.code, detail=f"{at}{error.code} {text}"[:MAX_DETAIL])


def _encode(text: str) -> bytes:
    """Return the bytes that the client decoded."""
    return text.encode("utf-8", "surrogateescape")
