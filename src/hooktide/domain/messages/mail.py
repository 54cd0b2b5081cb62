"""Mail: addresses, and operational events as messages in plain text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import unquote, urlsplit

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.messages.message import Message, clip, summary
from hooktide.domain.model import SECOND, Micros
from hooktide.domain.time.times import show_time

SCHEME = "mailto:"
MAX_ADDRESS_LENGTH = 254
MAX_SUBJECT_LENGTH = 150


def check_mailto(text: str) -> str:
    """Read ``mailto:user@example.com``, one plain address, and return it in its canonical form.

    :raises InvalidError: ``invalid_url``: it is not a mail address.
    """
    local, _, domain = text[len(SCHEME) :].rpartition("@")
    found = f"{local}@{domain.lower()}"
    if len(found) > MAX_ADDRESS_LENGTH or not _ADDRESS.fullmatch(found):
        raise InvalidError(
            "invalid_url", "write one address, like mailto:ops@example.com", pointer="/url"
        )
    return SCHEME + found


def is_mailto(text: str) -> bool:
    """Whether a text is meant to be a mail address."""
    return text[: len(SCHEME)].lower() == SCHEME


_ADDRESS = re.compile(
    r"(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)


def write_mail(
    messages: Sequence[Message], sender: str, to: str, mail_id: str, now: Micros
) -> tuple[bytes, bytes]:
    """Write a mail of one or more events: its head and its body, with CRLF at each line's end.

    ``mail_id`` is the same on all attempts, so that duplicates can be recognised.
    """
    one = len(messages) == 1
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name="Hooktide", addr_spec=sender)
    mail["To"] = Address(addr_spec=to)
    mail["Subject"] = clip(messages[0].title if one else summary(messages), MAX_SUBJECT_LENGTH)
    mail["Date"] = _date(now)
    mail["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(write_text(messages).decode(), cte="base64")
    head, _, body = mail.as_bytes().partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def write_text(messages: Sequence[Message]) -> bytes:
    """Write the text of a mail: one paragraph per event."""
    return ("\n\n".join(_paragraph(each) for each in messages) + "\n").encode()


def _paragraph(message: Message) -> str:
    lines = [message.title]
    lines += [f"{label}: {value}" for label, value in message.fields]
    if message.link:
        lines.append(message.link)
    return "\n".join([*lines, message.about])


def _date(now: Micros) -> str:
    text = show_time(now // SECOND * SECOND)
    year, month, day = text[:10].split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year} {text[11:19]} +0000"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

NOBODY = {550, 551, 553}


def gone(outcome: Outcome) -> str:
    """Return why the destination is permanently gone; empty if it is not."""
    if outcome.status in NOBODY and outcome.detail.startswith(AT_RECIPIENT):
        return f"the mail relay refuses the address ({outcome.status})"
    return ""


AT_RECIPIENT = "RCPT TO"
"""Prefix of an outcome's detail if the recipient was refused."""


PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail relay. ``secure``: TLS from the start; otherwise STARTTLS if offered."""

    host: str
    port: int
    secure: bool
    user: str = ""
    password: str = field(default="", repr=False)


def read_relay(url: str) -> Relay:
    """Read ``smtp://user:password@host:587`` or ``smtps://host``.

    :raises ConfigError: the URL is invalid.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (KeyError, ValueError):
        parts, port = urlsplit(""), 0
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError("write it like smtp://user:password@host:587", key="--smtp-url")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Relay(parts.hostname, port, parts.scheme == "smtps", user, password)
