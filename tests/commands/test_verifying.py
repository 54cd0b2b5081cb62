"""``hooktide verify``: valid, or exactly why not."""

import json
from pathlib import Path

import pytest
from commandkit import Said, hooktide

from hooktide.dialects import load
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import new_secret, whsec
from hooktide.domain.model import SECOND, Event

SECRET, OTHER = new_secret(b"1" * 32), new_secret(b"2" * 32)
SENT_AT = 1_700_000_000
AT = "2023-11-14T22:13:20Z"
BODY = b'{"id":"evt_0000000000000005","total":1.5,"name":"B\xc3\xbcro"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a request as it was received: ``body`` and ``headers``."""
    event = Event(id=5, account_id=1, type="a.b", payload=b"{}", occurred_at=SENT_AT * SECOND)
    dialect = compile_dialect(load("invoice-ahoy").dialect)
    head = dialect.compose(event, b"POST /hook HTTP/1.1\r\n", (SECRET,), BODY, SENT_AT * SECOND)
    (tmp_path / "headers").write_bytes(head)
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "secret").write_text(SECRET.text + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*words: str, secret: str = SECRET.text, typed: bytes = b"") -> Said:
    given = ["--secret", secret, "--headers", "headers"]
    return hooktide("verify", "invoice-ahoy", *given, *words, typed=typed)


@pytest.mark.parametrize("secret", [SECRET.text, whsec(SECRET), "@secret"])
def test_a_request_as_it_came_is_valid_by_each_of_its_signatures(secret: str) -> None:
    said = verify("--body", "body", "--at", AT, secret=secret).ok()
    assert said.out == "valid    x-ia-signature\nvalid    webhook-signature\n"
    shown = verify("--body", "-", "--any-age", "--json", secret=secret, typed=BODY).ok().one
    assert shown["valid"] is True
    assert shown["hint"] is None


def test_headers_may_be_given_one_by_one(folder: Path) -> None:
    lines = (folder / "headers").read_text().splitlines()[1:-1]
    words = [word for line in lines for word in ("-H", line)]
    given = ["--secret", SECRET.text, "--body", "body", "--any-age"]
    assert hooktide("verify", "invoice-ahoy", *given, *words).code == 0


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (BODY + b"\n", "without the trailing line end"),
        (BODY + b"\r\n", "without the trailing line end"),
        (b"\xef\xbb\xbf" + BODY, "byte order mark"),
        (json.dumps(json.loads(BODY)).encode(), "verify the raw bytes"),
        (BODY.replace(b"1.5", b"1.6"), ""),
    ],
)
def test_what_would_have_matched_is_said(folder: Path, body: bytes, hint: str) -> None:
    (folder / "body").write_bytes(body)
    said = verify("--body", "body", "--at", AT)
    assert said.code == 1
    assert "invalid  x-ia-signature  x-ia-signature matches no active secret" in said.out
    assert hint.lower() in said.out.lower()
    assert (hint == "") == ("It matches" not in said.out)


def test_an_old_request_is_distinguished_from_a_wrong_one() -> None:
    said = verify("--body", "body")
    assert said.code == 1
    assert "valid    x-ia-signature" in said.out
    assert "s old; at most 300 s" in said.out
    assert "--any-age" in said.out


def test_a_secret_without_its_prefix_is_distinguished_from_a_wrong_one() -> None:
    cut = whsec(SECRET).removeprefix("whsec_")
    assert "with whsec_ in front" in verify("--body", "body", "--at", AT, secret=cut).out
    other = verify("--body", "body", "--at", AT, secret=OTHER.text)
    assert "the secret is wrong" in other.out
    assert "It matches" not in other.out


@pytest.mark.parametrize(
    "words",
    [
        ("--body", "nowhere"),
        ("--body", "body", "-H", "nothing"),
        ("--body", "body", "--at", "soon"),
        ("--body", "body", "--secret", "short"),
    ],
)
def test_unreadable_input_is_reported(words: tuple[str, ...]) -> None:
    said = verify(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("hooktide: ")


def test_completions_are_printed_for_each_shell() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "deliveries" in hooktide("completions", shell).ok().out
