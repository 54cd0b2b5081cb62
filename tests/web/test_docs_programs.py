"""The guide's programs, run in their languages, accept genuine requests and no others."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from docskit import SIGNATURES, with_signature
from programkit import Case, is_installed, run
from webkit import Site, running
from wire import NO_CONTENT, keeping, receiving

from hooktide.dialects import load, read_shipped, shipped
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.signing import new_secret, whsec
from hooktide.domain.model import MINUTE, Event, Micros, Secret
from hooktide.domain.project.project import Project
from hooktide.web.pages.guide.programs import (
    LANGUAGES,
    Language,
    is_timed,
    own_program,
    standard_program,
)

SECRET, OTHER = new_secret(bytes(range(32))), new_secret(bytes(range(1, 33)))
BODY = (
    '{"id":"evt_x","type":"a.b","payload":{"n": 1.10, "s": "Zoë\\u00e9 €", "t": "a\\tb"}}'.encode()
)


class Request:
    """A request as it was received."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[1:]
        self.headers = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
        }


class Delivered:
    """Requests that a running server has sent to an endpoint of a shipped project.

    ``plain`` are signed with ``secret``, one for each event type. ``rotated`` are signed with both
    ``secret`` and its successor ``fresh``.
    """

    def __init__(self) -> None:
        self.secret: Mapping[str, str] = {}
        self.fresh: Mapping[str, str] = {}
        self.plain: list[Request] = []
        self.rotated: list[Request] = []


async def _deliver(folder: Path) -> dict[str, Delivered]:
    async with running(folder) as site, receiving(keeping(NO_CONTENT)) as receiver:
        found = {}
        for name in shipped():
            delivered = found[name] = Delivered()
            await _register(site, name, delivered, f"http://127.0.0.1:{receiver.port}/{name}")
            delivered.plain = await _sent(site, name, receiver.requests)
            await _overlap(site, name, delivered)
            delivered.rotated = await _sent(site, name, receiver.requests)
        return found


async def _register(site: Site, name: str, delivered: Delivered, url: str) -> None:
    (await site.operator.apply(name)).ok()
    beta = load(name).accounts
    given = {"project": name, "reference": beta[0] if beta else f"customer-of-{name}"}
    account = (await site.operator.post("/v1/accounts", given)).ok(201)
    made = await site.endpoint(account["id"], url=url)
    site.made[name] = made["id"]
    delivered.secret = made["secret"]


async def _sent(site: Site, name: str, requests: list[bytes]) -> list[Request]:
    """Publish an event of each type, and return the requests that arrived."""
    requests.clear()
    for kind in load(name).event_types:
        path = f"/v1/endpoints/{site.made[name]}/test"
        assert (await site.operator.post(path, {"event_type": kind.name})).ok()[
            "status"
        ] == "delivered"
    return [Request(raw) for raw in requests]


async def _overlap(site: Site, name: str, delivered: Delivered) -> None:
    """Rotate the secret, if the project has an overlap."""
    text = read_shipped(name).replace('rotation_overlap = "0s"\n', "")
    (await site.operator.apply(name, f'rotation_overlap = "1h"\n{text}')).ok()
    answer = await site.operator.post(f"/v1/endpoints/{site.made[name]}/rotate")
    delivered.fresh = answer.ok()["secret"]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Delivered]:
    return asyncio.run(_deliver(tmp_path_factory.mktemp("server")))


class Scheme:
    """A project's signature scheme: its program, its header, and the format of its secret."""

    def __init__(self, dialect: Dialect, *, own: bool) -> None:
        self.dialect = dialect
        self.own = own
        self.header = self._signature_header()
        self.timed = not own or (dialect.signature is not None and is_timed(dialect.signature))

    def _signature_header(self) -> str:
        signature = self.dialect.signature if self.own else None
        names = self.dialect.standard_names
        return signature.header.lower() if signature else names.signature

    def write(self, language: Language) -> str:
        if self.own and self.dialect.signature:
            return own_program(language, self.dialect, self.dialect.signature)
        return standard_program(language, self.dialect)

    @property
    def stamp(self) -> str:
        """The timestamp header. It is empty if there is none, or if the signature header has it."""
        if not self.own:
            return self.dialect.standard_names.timestamp
        signature = self.dialect.signature
        if signature is None or not self.timed or "{timestamp}" in signature.value:
            return ""
        return (signature.timestamp_header or self.dialect.standard_names.timestamp).lower()

    def form(self, secret: Secret | Mapping[str, str]) -> str:
        """Return the secret in the format that the project's customers see."""
        forms = secret if isinstance(secret, Mapping) else _forms(secret)
        return forms["text" if self.dialect.signature else "whsec"]


def _forms(secret: Secret) -> Mapping[str, str]:
    return {"text": secret.text, "whsec": whsec(secret)}


def schemes(dialect: Dialect) -> list[Scheme]:
    own = [Scheme(dialect, own=True)] if dialect.signature else []
    return own + ([Scheme(dialect, own=False)] if dialect.standard_headers else [])


Add = Callable[..., None]


def cases_of(name: str, project: Project, delivered: Delivered) -> list[Case]:
    """Return a shipped project's cases: requests from the server, and altered copies of them."""
    found: list[Case] = []
    for scheme in schemes(project.dialect):
        add = partial(_add, found, f"{name}/{'own' if scheme.own else 'standard'}", scheme)
        secret = scheme.form(delivered.secret)
        for number, request in enumerate(delivered.plain):
            add(f"valid {number}", request, secret, right=True)
        _add_forged(add, scheme, delivered.plain[0], secret)
        _add_rotated(add, scheme, delivered)
        _add_composed(add, scheme)
    return found


def _add(
    found: list[Case],
    prefix: str,
    scheme: Scheme,
    name: str,
    request: Request,
    secret: str,
    *,
    right: bool,
    body: bytes | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> None:
    changed = {**request.headers, **(headers or {})}
    found.append(
        Case(
            name=f"{prefix}/{name}",
            write=scheme.write,
            headers={key: value for key, value in changed.items() if value is not None},
            body=request.body if body is None else body,
            secret=secret,
            right=right,
        )
    )


def _add_forged(add: Add, scheme: Scheme, request: Request, secret: str) -> None:
    header, value = scheme.header, request.headers[scheme.header]
    add("forged body", request, secret, right=False, body=request.body + b" ")
    add("another secret", request, scheme.form(OTHER), right=False)
    for number, forged in enumerate(_forged(value)):
        add(f"forged signature {number}", request, secret, right=False, headers={header: forged})
    if scheme.own:
        add("a line more", request, secret, right=False, headers={header: f"{value}\n"})
    if scheme.stamp:
        stamp = request.headers[scheme.stamp]
        wrong = [str(int(stamp) - 1), f"{stamp} ", f"+{stamp}", "", "x", "9" * 30, None]
        for number, each in enumerate(wrong):
            add(f"stamp {number}", request, secret, right=False, headers={scheme.stamp: each})
    if not scheme.own:
        name = scheme.dialect.standard_names.id
        add("another id", request, secret, right=False, headers={name: "evt_0"})
        add("no id", request, secret, right=False, headers={name: None})


def _forged(value: str) -> list[str | None]:
    """Return malformed signatures."""
    at = len(value) // 2
    other = "0" if value[at] != "0" else "1"
    return [
        value[:at] + other + value[at + 1 :],
        value[:-1],
        value + "0",
        "",
        " ",
        "\xe9\xff",
        None,
    ]


def _add_rotated(add: Add, scheme: Scheme, delivered: Delivered) -> None:
    """While both secrets are active, either verifies a request with both signatures."""
    old, fresh = scheme.form(delivered.secret), scheme.form(delivered.fresh)
    for number, request in enumerate(delivered.rotated):
        add(f"rotated, fresh secret {number}", request, fresh, right=True)
        add(f"rotated, old secret {number}", request, old, right=not scheme.own)
        add(f"rotated, another secret {number}", request, scheme.form(OTHER), right=False)


def _add_composed(add: Add, scheme: Scheme) -> None:
    """Cases that a real server does not produce: wrong timestamps, and unusual bodies."""
    secret, now = scheme.form(SECRET), time.time_ns() // 1000
    add("odd body", _compose(scheme.dialect, now), secret, right=True)
    for minutes in (-6, 60):  # the programs may run a few minutes later
        request = _compose(scheme.dialect, now + minutes * MINUTE)
        add(f"{minutes} minutes", request, secret, right=not scheme.timed)


def _compose(dialect: Dialect, now: Micros) -> Request:
    event = Event(id=1 << 60, account_id=1, type="a.b", payload=b"{}", occurred_at=now)
    head = compile_dialect(dialect).compose(event, b"POST / HTTP/1.1\r\n", (SECRET,), BODY, now)
    return Request(head + BODY)


def odd_cases() -> list[Case]:
    """Return the cases of wire formats that no shipped project uses."""
    found: list[Case] = []
    for name, table in SIGNATURES.items():
        scheme = Scheme(with_signature(table).dialect, own=True)
        add = partial(_add, found, name, scheme)
        _add_composed(add, scheme)
        request = _compose(scheme.dialect, time.time_ns() // 1000)
        _add_forged(add, scheme, request, SECRET.text)
    for own in (True, False):
        text = SIGNATURES["base64"] if own else ""
        _add_renamed(found, Scheme(replace(_dialect(text), header_prefix="svix"), own=own))
    return found


def _dialect(signature: str) -> Dialect:
    return with_signature(signature).dialect if signature else Dialect()


def _add_renamed(found: list[Case], scheme: Scheme) -> None:
    """Standard Webhooks headers of other names, which the provider's own signature may rest on."""
    add = partial(_add, found, f"renamed/{'own' if scheme.own else 'standard'}", scheme)
    _add_composed(add, scheme)
    request = _compose(scheme.dialect, time.time_ns() // 1000)
    _add_forged(add, scheme, request, scheme.form(SECRET))


Said = dict[str, dict[str, tuple[bool, bool]]]
"""By project, what each case should be and what it is."""


@pytest.fixture(scope="module", params=LANGUAGES, ids=lambda language: language.key)
def said(
    request: pytest.FixtureRequest,
    delivered: dict[str, Delivered],
    tmp_path_factory: pytest.TempPathFactory,
) -> Said:
    language: Language = request.param
    if not is_installed(language):
        pytest.skip(f"{language.title} is not installed")
    cases = {name: cases_of(name, load(name), each) for name, each in delivered.items()}
    cases["odd"] = odd_cases()
    every = [case for found in cases.values() for case in found]
    folder = tmp_path_factory.mktemp(language.key)
    answers = run(language, every, folder)
    _check_form(language, folder)
    return {
        name: {case.name: (case.right, answers[case.name]) for case in found}
        for name, found in cases.items()
    }


def _check_form(language: Language, folder: Path) -> None:
    """Go has a standard format, and a tool that lists deviations."""
    if language.key == "go" and shutil.which("gofmt"):
        command = ["gofmt", "-d", *map(str, folder.glob("p*/*.go"))]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == ""


@pytest.mark.parametrize("name", [*shipped(), "odd"])
def test_a_program_accepts_what_the_server_signed_and_nothing_else(said: Said, name: str) -> None:
    assert len(said[name]) > 20
    wrong = [case for case, (right, answer) in said[name].items() if right != answer]
    assert wrong == []
    assert {right for right, _ in said[name].values()} == {True, False}


@pytest.mark.parametrize("name", shipped())
def test_a_program_is_not_too_wide_for_the_page(name: str) -> None:
    for language in LANGUAGES:
        for scheme in schemes(load(name).dialect):
            lines = scheme.write(language).expandtabs(4).splitlines()
            assert [line for line in lines if len(line) > 88] == []


def test_a_rotation_with_overlap_signs_twice(delivered: dict[str, Delivered]) -> None:
    for each in delivered.values():
        assert len(each.plain) == len(each.rotated) > 0
        assert {len(it.headers["webhook-signature"].split()) for it in each.plain} == {1}
        assert {len(it.headers["webhook-signature"].split()) for it in each.rotated} == {2}
