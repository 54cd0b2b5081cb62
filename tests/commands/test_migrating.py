"""docs/migrating.md: its projects send the same requests as the previous sender."""

import asyncio
import hashlib
import hmac
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clientkit import Place
from commandkit import hooktide
from standardwebhooks import Webhook

from hooktide import Client
from hooktide.cli.foreign import from_csv
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import read_secret
from hooktide.domain.model import SECOND, Event
from hooktide.domain.project.project import Project
from hooktide.domain.project.reading import parse_project

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")
PAYLOAD = b'{"id": "inv_1", "total": 1.10}'
AT = int(time.time())
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = "J8bQvBEMVYTRFEGVgzWxCYGEC"


def blocks(language: str) -> list[str]:
    """Return the page's code blocks. Those within a list are indented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


SVIX, CONVOY, CONVOY_ADVANCED, OWN = blocks("toml")
TELL, SEND = blocks("python")
[ENDPOINTS] = blocks("csv")


def sent(project: Project, secret: str, at: int = AT) -> tuple[dict[str, str], bytes]:
    """Return the headers and body of a delivery at ``at``."""
    dialect = compile_dialect(project.dialect)
    event = Event(id=5, account_id=1, type="invoice.paid", payload=PAYLOAD, occurred_at=at * SECOND)
    body = dialect.body(event)
    head = dialect.compose(event, b"POST / HTTP/1.1\r\n", (read_secret(secret),), body, at * SECOND)
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2]), body


def mac(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


async def test_what_svix_sent_verifies_with_the_same_secret() -> None:
    project = parse_project(SVIX)
    headers, body = sent(project, WHSEC, int(time.time()))
    assert body == PAYLOAD
    named = {
        f"webhook-{name}": headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")
    }
    Webhook(WHSEC).verify(body, named)
    assert (project.plans[0].name, project.plans[0].retries) == ("default", 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CONVOY, "{simple}"),
        (CONVOY_ADVANCED, "t={at},v1={advanced}"),
    ],
    ids=["simple", "advanced"],
)
async def test_a_request_is_signed_as_convoys_was(text: str, expected: str) -> None:
    headers, body = sent(parse_project(text), SECRET)
    assert body == PAYLOAD
    assert not any(name.startswith("webhook-") for name in headers)
    assert headers["X-Convoy-Signature"] == expected.format(
        at=AT, simple=mac(PAYLOAD), advanced=mac(b"%d,%b" % (AT, PAYLOAD))
    )


async def test_what_a_sender_of_ones_own_sent_is_sent_to_the_byte(
    place: Place, tmp_path: Path
) -> None:
    with Client(place.url, place.key) as operator:
        operator.projects.apply("acme", OWN)
        key = operator.keys.create("project", "moving", project="acme").key
        receiver = operator.bins.create()
        bring(tmp_path, receiver.url, key)
        assert publish(place.url, key, ["acme", "beta"]) == ["beta"]
        async with asyncio.timeout(60):
            while not (arrived := list(operator.bins.requests(receiver.id))):
                await asyncio.sleep(0.02)
        [request] = arrived
        headers = {name.lower(): value for name, value in request.headers}
        body = operator.bins.body(receiver.id, request.id)
    at = int(headers["x-acme-signature"].partition(",")[0].removeprefix("t="))
    [(_, body_before, headers_before)] = before({"id": "inv_1"}, at)
    assert body == body_before.encode()
    for name, value in headers_before.items():
        assert headers[name.lower()] == value
    assert headers["x-acme-version"] == "1"
    assert "webhook-id" not in headers


def bring(folder: Path, url: str, key: str) -> None:
    """Import the page's file with a different URL for its first endpoint."""
    file = folder / "endpoints.csv"
    file.write_text(ENDPOINTS.replace("https://acme.example.com/hooks", url))
    words = ("import", "csv", str(file), "--project", "acme", "--key", key, "--json")
    assert [line["what"] for line in hooktide(*words).ok().json] == ["added", "added"]


def publish(url: str, key: str, accounts: list[str]) -> list[str]:
    """Publish as the page's program does. Return the accounts that the old sender received."""
    names: dict[str, Any] = {}
    told: list[str] = []
    names["tell_by_the_old_sender"] = lambda account, *_: told.append(account)
    exec(TELL.replace('"https://hooks.example.com", "htk_..."', f'"{url}", "{key}"'), names)
    for account in accounts:
        names["tell"](account, "invoice.paid", {"id": "inv_1"}, "inv_1-paid")
    names["hooktide"].close()
    return told


def before(data: dict[str, Any], at: int) -> list[tuple[str, str, dict[str, str]]]:
    """Return the request of the page's own sender at a point in time."""
    posted: list[tuple[str, str, dict[str, str]]] = []
    names: dict[str, Any] = {}
    exec(SEND, names)
    names["time"] = SimpleNamespace(time=lambda: at)
    names["send"](
        lambda *request: posted.append(request),
        "https://acme.example.com/hooks", SECRET, "invoice.paid", data,
    )  # fmt: skip
    return posted


async def test_the_file_of_endpoints_is_read_as_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(ENDPOINTS)
    first, second = from_csv(str(tmp_path / "e.csv"))
    assert (first.secret, first.event_types, first.enabled) == (SECRET, ("invoice.paid",), True)
    assert (second.event_types, second.enabled) == (("*",), False)
