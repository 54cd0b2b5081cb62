"""Hints about attempts: each matches its outcome, and there is none for a success."""

import subprocess

import pytest

from hooktide.domain.delivery.hints import curl, hint
from hooktide.domain.delivery.verdict import ERRORS
from hooktide.domain.model import SECOND, Attempt


def attempt(
    status: int | None = 200,
    error: str = "",
    detail: str = "",
    *,
    seconds: float = 0.1,
    head: bytes = b"",
    body: bytes = b"",
) -> Attempt:
    return Attempt(
        delivery_id=1,
        number=1,
        started_at=0,
        duration=round(seconds * SECOND),
        status=status,
        error=error,
        detail=detail,
        request_head=b"",
        response_head=b"HTTP/1.1 200 OK\r\n" + head + b"\r\n",
        response_body=body,
        response_truncated=False,
    )


TOLD = [
    (attempt(401), "signature"),
    (attempt(403), "signature"),
    (attempt(302, head=b"Location: https://www.acme.test/hook\r\n"), "https://www.acme.test/hook"),
    (attempt(308), "final URL"),
    (attempt(400), "a different body"),
    (attempt(404), "path"),
    (attempt(405), "POST"),
    (attempt(410), "disabled"),
    (attempt(413), "limit"),
    (attempt(418), "418"),
    (attempt(429), "Retry-After"),
    (attempt(500), "log"),
    (attempt(502), "proxy"),
    (attempt(599), "599"),
    (attempt(None, "timeout"), "10 seconds"),
    (attempt(None, "tls_error", "the certificate is for another host name"), "another name"),
    (attempt(None, "tls_error", "the certificate has expired"), "expired"),
    (attempt(None, "tls_error", "its issuer is not known; the chain"), "fullchain"),
    (attempt(None, "tls_error", "TLS failed: unsupported protocol"), "TLS 1.2"),
    (attempt(None, "tls_error", "the receiver does not speak TLS on this port"), "plain HTTP"),
    (
        attempt(None, "tls_error", "the receiver requires a client certificate, which is not sent"),
        "requires a client certificate",
    ),
    (attempt(None, "dns_error"), "typo"),
    (attempt(None, "connect_error"), "firewall"),
    (attempt(None, "connection_lost"), "body was not read"),
    (attempt(None, "invalid_response"), "HTTP"),
    (attempt(None, "destination_forbidden"), "private"),
    (attempt(200, seconds=8.1), "8.1 of 10 seconds"),
    (attempt(head=b"Content-Type: text/html\r\n", body=b" <!DOCTYPE html><html>"), "web page"),
]


@pytest.mark.parametrize(("made", "word"), TOLD, ids=lambda case: str(case)[:24])
def test_a_hint_says_what_most_likely_happened(made: Attempt, word: str) -> None:
    found = hint(made, 10 * SECOND)
    assert found is not None
    assert word.lower() in f"{found.title}. {found.text}".lower()


@pytest.mark.parametrize(
    "made",
    [
        attempt(200),
        attempt(204, seconds=7.9),
        attempt(200, head=b"content-type: text/html\r\n", body=b"ok"),
        attempt(None, "local_error"),
    ],
)
def test_nothing_is_said_where_all_is_well_or_it_is_not_theirs(made: Attempt) -> None:
    assert hint(made, 10 * SECOND) is None


def test_every_error_of_a_receiver_has_its_hint() -> None:
    for error in ERRORS:
        found = hint(attempt(None, error), SECOND)
        assert (found is None) == (error == "local_error"), error


def test_a_request_as_a_command_line_is_the_request() -> None:
    body = """{"name": "O'Brien; $(rm) `x`", "n": 1.10}\n"""
    text = curl("https://a.example/h?x='1'&y=2", [("content-type", "application/json")], body)
    shell = f"curl() {{ printf '%s\\0' \"$@\"; }}; {text}"
    ran = subprocess.run(["sh", "-c", shell], capture_output=True, check=True, text=True)
    words = ran.stdout.split("\0")[:-1]
    assert words[:4] == ["-i", "-X", "POST", "https://a.example/h?x='1'&y=2"]
    assert words[4:] == ["-H", "content-type: application/json", "--data-binary", body]
