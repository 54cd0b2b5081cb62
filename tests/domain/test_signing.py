"""Signatures agree with independent implementations, and errors are explained."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import example, given
from hypothesis import strategies as st

from hooktide.domain.delivery.compose import Composer, compile_dialect
from hooktide.domain.dialect.dialect import Algorithm, Dialect, Encoding, Signature
from hooktide.domain.dialect.signing import (
    MAX_SIGNATURES,
    TOLERANCE,
    Verification,
    new_secret,
    standard_signature,
    verify,
    whsec,
)
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import SECOND, Event, Secret

NEW, OLD, OTHER = (new_secret(bytes([n]) * 32) for n in (1, 2, 3))
NOW = 1_700_000_000 * SECOND
BODY = b'{"amount":1.10}'
HAPPENED = Event(id=5, account_id=1, type="invoice.paid", payload=BODY, occurred_at=NOW)

OWN = Dialect(signature=Signature(header="x-sig"), standard_headers=False)
BOTH = Dialect(signature=Signature(header="x-sig"))
STANDARD = Dialect()
STRIPE_LIKE = Dialect(
    signature=Signature(
        header="Acme-Signature",
        content="{timestamp}.{body}",
        value="t={timestamp},v1={signature}",
    ),
    standard_headers=False,
)
SLACK_LIKE = Dialect(
    signature=Signature(
        header="X-Acme-Signature",
        content="v0:{timestamp}:{body}",
        value="v0={signature}",
        timestamp_header="X-Acme-Request-Timestamp",
    ),
    standard_headers=False,
)
GITHUB_LIKE = Dialect(
    signature=Signature(header="X-Hub-Signature-256", value="sha256={signature}"),
    standard_headers=False,
)
NAMED = Dialect(
    signature=Signature(
        header="x-sig",
        algorithm=Algorithm.HMAC_SHA512,
        encoding=Encoding.BASE64,
        content="100%{id}.{timestamp}.{body}",
        value="v=1; s={signature}",
    ),
)
DIALECTS = (OWN, BOTH, STANDARD, STRIPE_LIKE, SLACK_LIKE, GITHUB_LIKE, NAMED)


def headers_of(dialect: Dialect, *secrets: Secret, now: int = NOW) -> dict[str, str]:
    head = compile_dialect(dialect).compose(HAPPENED, b"POST / HTTP/1.1\r\n", secrets, BODY, now)
    lines = head.decode("ascii").split("\r\n")[1:-2]
    return dict(line.split(": ", 1) for line in lines)


def check(
    dialect: Dialect, headers: dict[str, str], *secrets: Secret, body: bytes = BODY, now: int = NOW
) -> Verification:
    return verify(dialect, secrets, tuple(headers.items()), body, now)


@pytest.mark.parametrize(
    ("secret", "event_id", "timestamp", "body", "signature"),
    [
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            b"msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            b"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            b"v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_the_published_vectors_of_standard_webhooks_come_out(
    secret: str, event_id: bytes, timestamp: int, body: bytes, signature: bytes
) -> None:
    key = base64.b64decode(secret)
    assert whsec(Secret(text="", key=key)) == f"whsec_{secret}"
    assert standard_signature(Secret(text="", key=key), event_id, timestamp, body) == signature


def test_the_reference_library_verifies_with_each_secret_in_force_and_no_other() -> None:
    now = int(datetime.now(UTC).timestamp()) * SECOND
    headers = headers_of(STANDARD, NEW, OLD, now=now)
    for secret in (NEW, OLD):
        standardwebhooks.Webhook(whsec(secret)).verify(BODY.decode(), headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(whsec(OTHER)).verify(BODY.decode(), headers)


def test_the_own_signature_is_the_newest_secrets_alone() -> None:
    wanted = hmac.new(NEW.text.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers_of(OWN, NEW, OLD)["x-sig"] == wanted


def test_formats_of_other_houses_are_only_configuration() -> None:
    def sha256(content: bytes) -> str:
        return hmac.new(NEW.text.encode(), content, hashlib.sha256).hexdigest()

    stripe, slack = headers_of(STRIPE_LIKE, NEW), headers_of(SLACK_LIKE, NEW)
    assert stripe["Acme-Signature"] == f"t=1700000000,v1={sha256(b'1700000000.' + BODY)}"
    assert slack["X-Acme-Signature"] == f"v0={sha256(b'v0:1700000000:' + BODY)}"
    assert slack["X-Acme-Request-Timestamp"] == "1700000000"
    assert headers_of(GITHUB_LIKE, NEW)["X-Hub-Signature-256"] == f"sha256={sha256(BODY)}"
    content = b"100%evt_0000000000000005.1700000000." + BODY
    sha512 = base64.b64encode(hmac.new(NEW.text.encode(), content, hashlib.sha512).digest())
    assert headers_of(NAMED, NEW)["x-sig"] == f"v=1; s={sha512.decode()}"


@given(
    key=st.text(st.characters(codec="ascii", exclude_categories=()), max_size=200),
    body=st.binary(max_size=300),
    algorithm=st.sampled_from(Algorithm),
)
@example(key="k" * 200, body=BODY, algorithm=Algorithm.HMAC_SHA512)
def test_any_signature_is_the_standard_librarys_hmac(
    key: str, body: bytes, algorithm: Algorithm
) -> None:
    composer = Composer(Dialect(signature=Signature(header="x", algorithm=algorithm)))
    head = composer.compose(HAPPENED, b"", (Secret(text=key, key=b"k" * 24),), body, NOW)
    wanted = hmac.new(key.encode(), body, algorithm.removeprefix("hmac-")).hexdigest()
    assert f"\r\nx: {wanted}\r\n".encode() in head


def test_fixed_headers_come_before_the_signature_and_the_endpoints_own_come_last() -> None:
    dialect = Dialect(headers=(("X-Api-Version", "2026-01"),), signature=Signature(header="x-sig"))
    head = compile_dialect(dialect).compose(
        HAPPENED, b"POST / HTTP/1.1\r\n", (NEW,), BODY, NOW, b"authorization: Bearer x\r\n"
    )
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n")[1:-2]]
    assert names[:4] == ["content-type", "content-length", "X-Api-Version", "x-sig"]
    assert names[-1] == "authorization"


def test_attempts_differ_in_timestamp_and_signature_and_in_nothing_else() -> None:
    first, second = headers_of(BOTH, NEW), headers_of(BOTH, NEW, now=NOW + 60 * SECOND)
    differing = {name for name in first if first[name] != second[name]}
    assert differing == {"webhook-timestamp", "webhook-signature"}


def test_a_secret_has_both_forms_and_neither_shows() -> None:
    secret = new_secret(bytes(range(32)))
    assert secret.text == bytes(range(32)).hex()
    assert base64.b64decode(whsec(secret).removeprefix("whsec_")) == bytes(range(32))
    assert secret.text not in repr(secret)


@pytest.mark.parametrize(
    ("signature", "standard_headers", "key"),
    [
        (Signature(header="x", content="{boddy}"), True, "dialect.signature.content"),
        (Signature(header="x", content="{timestamp}"), True, "dialect.signature.content"),
        (Signature(header="x", content="{body}{body}"), True, "dialect.signature.content"),
        (Signature(header="x", value="{signature}{secret}"), True, "dialect.signature.value"),
        (Signature(header="x", value="fixed"), True, "dialect.signature.value"),
        (Signature(header="x", value="{signature}\r\na: b"), True, "dialect.signature.value"),
        (Signature(header="x", value="{signature|upper}"), True, "dialect.signature.value"),
        (Signature(header="x", content="{timestamp}.{body}"), False, "dialect.signature.content"),
        (Signature(header="x", content="{id}.{body}"), False, "dialect.signature.content"),
    ],
)
def test_a_signature_that_nobody_could_verify_is_refused(
    signature: Signature, standard_headers: bool, key: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        Composer(Dialect(signature=signature, standard_headers=standard_headers))
    assert refused.value.key == key


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_was_sent_verifies_and_what_was_changed_does_not(dialect: Dialect) -> None:
    headers = headers_of(dialect, NEW, OLD)
    upper = {name.upper(): value for name, value in headers.items()}
    assert check(dialect, upper, OLD, NEW).valid
    assert check(dialect, headers, NEW).reason == ""
    changed = check(dialect, headers, NEW, body=BODY.replace(b"1.10", b"1.1"))
    assert not changed.valid
    assert "differs from what was signed" in changed.reason
    assert not check(dialect, headers, OTHER).valid


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_header_that_is_missing_is_named(dialect: Dialect) -> None:
    found = check(dialect, {"content-type": "application/json"}, NEW)
    assert not found.valid
    for each in found.checks:
        assert each.reason.startswith("there is no ")


@pytest.mark.parametrize("dialect", [STANDARD, STRIPE_LIKE, SLACK_LIKE, NAMED])
def test_a_timestamp_too_far_from_now_is_distinguished_from_a_wrong_secret(
    dialect: Dialect,
) -> None:
    headers = headers_of(dialect, NEW)
    assert check(dialect, headers, NEW, now=NOW + TOLERANCE).valid
    late = check(dialect, headers, NEW, now=NOW + TOLERANCE + SECOND)
    early = check(dialect, headers, NEW, now=NOW - TOLERANCE - SECOND)
    assert "301 s old" in late.reason
    assert "301 s ahead" in early.reason


@pytest.mark.parametrize("stamp", ["", "now", "17\u06600", "-1", "1" * 13, "1.5"])
def test_a_timestamp_that_is_not_a_number_is_reported(stamp: str) -> None:
    headers = {**headers_of(SLACK_LIKE, NEW), "X-Acme-Request-Timestamp": stamp}
    assert "not given in Unix seconds" in check(SLACK_LIKE, headers, NEW).reason


def test_a_malformed_value_is_reported_with_the_expected_form() -> None:
    headers = {**headers_of(STRIPE_LIKE, NEW), "Acme-Signature": "abc"}
    assert "t={timestamp},v1={signature}" in check(STRIPE_LIKE, headers, NEW).reason


@pytest.mark.parametrize(
    "value", ["{timestamp}{id}{signature}", "{signature}{timestamp}", "{id}{signature}{timestamp}"]
)
@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_parts_of_a_header_with_nothing_between_are_told_apart(
    value: str, encoding: Encoding, algorithm: Algorithm
) -> None:
    own = Signature(
        header="x-sig",
        algorithm=algorithm,
        encoding=encoding,
        content="{timestamp}{id}{body}",
        value=value,
    )
    dialect = Dialect(signature=own)
    headers = headers_of(dialect, NEW)
    assert check(dialect, headers, NEW).reason == ""
    assert not check(dialect, headers, OTHER).valid


def test_unknown_signatures_are_ignored_if_one_is_right() -> None:
    headers = headers_of(STANDARD, NEW)
    headers["webhook-signature"] = "v1a,é v2,x " + headers["webhook-signature"]
    assert check(STANDARD, headers, NEW).valid


def test_only_the_first_signatures_of_a_header_are_compared() -> None:
    headers = headers_of(STANDARD, NEW)
    right = headers["webhook-signature"]
    for others, verified in ((MAX_SIGNATURES - 1, True), (MAX_SIGNATURES, False)):
        headers["webhook-signature"] = "v1,x " * others + right
        assert check(STANDARD, headers, NEW).valid is verified


def test_the_two_schemes_are_distinguished() -> None:
    headers = headers_of(BOTH, NEW, OLD)
    headers["x-sig"] = "0" * 64
    first, second = check(BOTH, headers, OLD).checks
    assert (first.header, first.valid) == ("x-sig", False)
    assert (second.header, second.valid) == ("webhook-signature", True)


def test_a_project_that_signs_nothing_verifies_nothing() -> None:
    found = check(Dialect(standard_headers=False), {}, NEW)
    assert not found.valid
    assert found.reason == "this project signs nothing"
