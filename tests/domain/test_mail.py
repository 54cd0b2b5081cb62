"""Mail addresses, and the format of mails."""

from email import message_from_bytes
from email.policy import SMTP

import pytest

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.messages.mail import check_mailto, gone, read_relay, write_mail
from hooktide.domain.messages.message import Wording, compose_message
from hooktide.domain.model import SECOND, Event

NOON = 1_767_268_800 * SECOND


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mailto:ops@example.com", "mailto:ops@example.com"),
        ("MAILTO:Ops+x@EXAMPLE.com", "mailto:Ops+x@example.com"),
        ("mailto:root@localhost", "mailto:root@localhost"),
    ],
)
def test_one_plain_address_is_taken(text: str, found: str) -> None:
    assert check_mailto(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "mailto:",
        "mailto:ops",
        "mailto:@example.com",
        "mailto:a@b.example,c@d.example",
        "mailto:ops@example.com?bcc=x@y.example",
        "mailto:ops@example.com\r\nRCPT TO:<x@y.example>",
        "mailto:ops@example.com>",
        "mailto:a b@example.com",
        'mailto:"a"@example.com',
        "mailto:ops@-example.com",
        "mailto:ops@ex\u00e4mple.com",
        "mailto:" + "a" * 65 + "@example.com",
        "mailto:ops@" + "a." * 125 + "com",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        check_mailto(text)


def test_a_mail_is_plain_text_whatever_its_content() -> None:
    payload = '{"name":"Ann\\r\\nBcc: x@y.example","city":"Zürich 😀","url":"https://a.example/"}'
    event = Event(id=1, account_id=1, type="thing.done", payload=payload.encode(), occurred_at=NOON)
    message = compose_message(event, Wording(text="{payload.name} of {payload.city}"))
    head, body = write_mail([message], "hooktide@example.com", "ops@example.com", "id1", NOON)
    assert head.endswith(b"\r\n\r\n")
    assert (head + body).isascii()
    assert all(len(line) <= 78 for line in (head + body).split(b"\r\n"))
    mail = message_from_bytes(head + body, policy=SMTP)
    assert mail["Subject"] == "Ann Bcc: x@y.example of Zürich 😀"
    assert sorted(mail.keys()) == sorted(
        [
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
            *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert mail["Date"].datetime.timestamp() * SECOND == NOON
    assert mail["Message-ID"] == "<id1@example.com>"
    assert mail.get_content().splitlines() == [
        "Ann Bcc: x@y.example of Zürich 😀",
        "https://a.example/",
        "thing.done · 2026-01-01 12:00 UTC",
    ]


def test_only_a_refused_recipient_is_gone_for_good() -> None:
    assert gone(Outcome(status=550, detail="RCPT TO:<ops@example.com>: 550 unknown"))
    assert not gone(Outcome(status=550, detail="MAIL FROM:<x@example.com>: 550 no"))
    assert not gone(Outcome(status=451, detail="RCPT TO:<ops@example.com>: 451 later"))


def test_a_relays_url_is_read_and_its_password_not_shown() -> None:
    relay = read_relay("smtp://me%40x:p%2Fw@mail.internal:587")
    assert (relay.host, relay.port, relay.secure) == ("mail.internal", 587, False)
    assert (relay.user, relay.password) == ("me@x", "p/w")
    assert "p/w" not in repr(relay)
    assert (read_relay("smtps://h").port, read_relay("smtps://h").secure) == (465, True)
    assert read_relay("smtp://h").port == 25


@pytest.mark.parametrize(
    "url", ["mail.internal", "http://h", "smtp://", "smtp://h:x", "smtp://h/a"]
)
def test_what_is_no_relays_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        read_relay(url)
