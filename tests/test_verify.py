"""``hooktide.verify`` checks requests with the same configuration that the sender signs with."""

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from hooktide.dialects import load, read_shipped, shipped
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.signing import new_secret, read_secret, whsec
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.model import SECOND, Event
from hooktide.verify import STANDARD_WEBHOOKS, VerificationError, Verified, Verifier

SECRET, OLD, OTHER = (new_secret(bytes([n]) * 32) for n in (1, 2, 3))
SENT_AT = 1_700_000_000
BODY = b'{"id":"evt_0000000000000005","total":1.10}'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def headers_of(dialect: Dialect, body: bytes = BODY) -> dict[str, str]:
    event = Event(id=5, account_id=1, type="a.b", payload=b"{}", occurred_at=SENT_AT * SECOND)
    signed = compile_dialect(dialect).compose(
        event, b"POST / HTTP/1.1\r\n", (SECRET, OLD), body, SENT_AT * SECOND
    )
    return dict(line.split(": ", 1) for line in signed.decode().split("\r\n")[1:-2])


def verifier(dialect: str = "invoice-ahoy", *secrets: str, age: float = 0) -> Verifier:
    return Verifier(dialect, secrets or SECRET.text, clock=lambda: SENT_AT + age)


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("secret", [SECRET.text, whsec(SECRET)])
def test_what_each_shipped_project_sends_verifies_with_either_form_of_its_secret(
    name: str, secret: str
) -> None:
    headers = headers_of(load(name).dialect)
    found = verifier(name, secret).verify(BODY, headers)
    assert found.event_id == "evt_0000000000000005"
    assert "webhook-signature" in found.signed_with
    with pytest.raises(VerificationError, match="differs from what was signed"):
        verifier(name, secret).verify(BODY.replace(b"1.10", b"1.1"), headers)
    with pytest.raises(VerificationError, match="the secret is wrong"):
        verifier(name, OTHER.text).verify(BODY, headers)


def test_a_projects_file_a_project_and_a_dialect_say_the_same_as_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(read_shipped("house-check"))
    project = load("house-check")
    headers = headers_of(project.dialect)
    for given in ("house-check", str(file), project, project.dialect):
        mine = Verifier(given, SECRET.text, clock=lambda: SENT_AT)
        assert mine.verify(BODY, headers).signed_with == ("signature", "webhook-signature")


def test_each_signature_has_its_own_reason() -> None:
    headers = headers_of(load("invoice-ahoy").dialect)
    del headers["x-ia-signature"]
    with pytest.raises(VerificationError) as refused:
        verifier().verify(BODY, headers)
    assert str(refused.value) == refused.value.reason == "there is no x-ia-signature header"
    assert [check.valid for check in refused.value.checks] == [False, True]


def test_a_request_that_is_too_old_is_told_as_such_and_may_be_allowed() -> None:
    headers = headers_of(load(STANDARD_WEBHOOKS).dialect)
    assert verifier(STANDARD_WEBHOOKS, age=300).check(BODY, headers).valid
    with pytest.raises(VerificationError, match=r"301 s old; at most 300 s"):
        verifier(STANDARD_WEBHOOKS, age=301).verify(BODY, headers)
    for tolerance in (None, timedelta(seconds=400)):
        patient = Verifier(
            STANDARD_WEBHOOKS, SECRET.text, tolerance=tolerance, clock=lambda: SENT_AT + 400
        )
        assert patient.check(BODY, headers).valid
    with pytest.raises(VerificationError, match="10 s old; at most 5 s"):
        Verifier(
            STANDARD_WEBHOOKS,
            SECRET.text,
            tolerance=timedelta(seconds=5),
            clock=lambda: SENT_AT + 10,
        ).verify(BODY, headers)


def test_during_a_rotation_several_secrets_will_do() -> None:
    headers = headers_of(load(STANDARD_WEBHOOKS).dialect)
    assert verifier(STANDARD_WEBHOOKS, OTHER.text, OLD.text).check(BODY, headers).valid


def test_headers_come_as_any_framework_has_them() -> None:
    given = headers_of(load("invoice-ahoy").dialect)
    raw = [(name.upper().encode(), value.encode()) for name, value in given.items()]
    received = Message()  # as http.server provides them
    for name, value in given.items():
        received[name] = value
    for headers in (given, list(given.items()), raw, received):
        assert verifier().verify(BODY, headers) == Verified(
            "evt_0000000000000005", ("x-ia-signature", "webhook-signature")
        )


@pytest.mark.parametrize("odd", ["\udcff", "\xff", "é" * 64, "", "v1,", "{signature}"])
def test_odd_headers_are_refused_and_end_in_no_other_error(odd: str) -> None:
    headers = headers_of(load("invoice-ahoy").dialect)
    for name in headers:
        if name.startswith(("webhook-", "x-ia-")):
            assert not verifier().check(BODY, headers | {name: odd}).valid
    assert not verifier().check(BODY, [(b"x-ia-signature", b"\xff")]).valid


def test_what_others_send_by_standard_webhooks_verifies() -> None:
    at = SENT_AT
    reference = standardwebhooks.Webhook(whsec(SECRET))
    body = b'{"type":"contact.created"}'
    known = Verifier(STANDARD_WEBHOOKS, whsec(SECRET), clock=lambda: at)
    signature = _signed(reference, "msg_2b", at, body)
    headers = {
        "webhook-id": "msg_2b",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1a,xxx {signature}",
    }
    assert known.verify(body, headers).event_id == "msg_2b"


def _signed(reference: standardwebhooks.Webhook, name: str, at: int, body: bytes) -> str:
    stamp = timedelta(seconds=at)
    return str(reference.sign(name, _EPOCH + stamp, body.decode()))


@pytest.mark.parametrize(
    ("given", "key", "text"),
    [
        (SECRET.text, SECRET.key, SECRET.text),
        (whsec(SECRET), SECRET.key, SECRET.text),
        ("A" * 64, b"\xaa" * 32, "A" * 64),
        ("J8bQvBEMVYTRFEGVgzWxCYGEC", b"J8bQvBEMVYTRFEGVgzWxCYGEC", "J8bQvBEMVYTRFEGVgzWxCYGEC"),
    ],
)
def test_a_secret_is_read_in_each_of_its_forms(given: str, key: bytes, text: str) -> None:
    assert (read_secret(given).key, read_secret(given).text) == (key, text)


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("", "16 to 128"),
        ("short", "16 to 128"),
        ("x" * 129, "16 to 128"),
        (" " + "x" * 20, "without spaces"),
        ("x" * 20 + "\n", "without spaces"),
        ("whsec_" + "x" * 21, "not base64"),
        ("whsec_AAAA", "3 bytes"),
        ("whsec_", "0 bytes"),
    ],
)
def test_what_cannot_be_a_secret_is_told_without_quoting_it(secret: str, told: str) -> None:
    with pytest.raises(InvalidError, match=told) as refused:
        Verifier(STANDARD_WEBHOOKS, secret)
    told_nothing = secret.removeprefix("whsec_").strip()
    assert not told_nothing or told_nothing not in str(refused.value)


def test_an_unknown_dialect_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="invoice-ahoy"):
        Verifier("invoice-ahoi", SECRET.text)


def test_a_body_that_is_text_already_is_refused() -> None:
    with pytest.raises(TypeError, match="raw bytes received"):
        verifier().verify(BODY.decode(), {})  # type: ignore[arg-type]


def test_the_guide_for_consumers_shows_a_program_that_verifies() -> None:
    guide = Path("docs/consumers.md").read_text()
    [block] = [
        each for each in re.findall(r"```python\n(.*?)```", guide, re.S) if "Verifier" in each
    ]
    verify: dict[str, Any] = {}
    exec(block.replace("THE-SECRET-THAT-WAS-SHOWN", SECRET.text), verify)
    project = load("invoice-maker")
    at = int(time.time())
    event = Event(id=5, account_id=1, type="a.b", payload=b"{}", occurred_at=at * SECOND)
    head = compile_dialect(project.dialect).compose(
        event, b"POST / HTTP/1.1\r\n", (SECRET,), BODY, at * SECOND
    )
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
    assert verify["receive"](BODY, headers) == 200
    assert verify["receive"](BODY, headers) == 200
    assert verify["receive"](BODY + b" ", headers) == 401
    assert verify["handled"] == {"evt_0000000000000005"}


def test_importing_it_imports_no_server() -> None:
    program = "import sys, hooktide.verify; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert "hooktide.domain.dialect.signing" in loaded
    for name in ("starlette", "uvicorn", "apsw", "asyncio", "hooktide.web", "hooktide.store"):
        assert name not in loaded
