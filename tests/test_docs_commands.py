"""Runs the documentation's curl commands, in the order of each page.

Ids come from earlier responses, addresses from this test. Every response has to be 2xx.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from clientkit import Place, furnish
from pagekit import Block, blocks, statements
from serverkit import serving

from hooktide import Client
from hooktide.client import NotFoundError
from hooktide.dialects import read_shipped

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKS = re.compile(r"^(hook|api|curl)\s")
OPTIONS = ("--chat-host", "chat.example.com", "--smtp-url", "smtp://127.0.0.1:9")
ELSEWHERE = {
    "docs/quickstart.md": "test_quickstart.py",
    "docs/fastapi.md": "test_docs_start.py",
    "docs/django.md": "test_docs_start.py",
}
NOT_OF_A_SERVER = "https://example.com\n"
"""Asks the internet whether it is there."""


def asked(page: str) -> list[str]:
    """Return a page's curl commands, and the commands that enable what they need."""
    found = [each for block in blocks("sh", page=page) for each in statements(block)]
    wanted = [each for each in found if ASKS.match(each) or each.startswith("hooktide apply ")]
    return [each for each in wanted if not f"{each}\n".endswith(NOT_OF_A_SERVER)]


def pages() -> list[str]:
    names = sorted({block.page for block in blocks("sh")} - ELSEWHERE.keys())
    return [name for name in names if any(map(ASKS.match, asked(name)))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    more = ("--mail-from", "hooktide@example.com")
    async with serving(tmp_path_factory.mktemp("server"), *OPTIONS, *more) as server:
        yield await furnish(server)


@pytest.mark.parametrize("page", pages())
async def test_what_a_page_asks_of_a_server_is_answered(
    place: Place, page: str, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / "invoice-maker.toml").write_text(read_shipped("invoice-maker"))
    with Client(place.url, place.key) as client:
        reader = Reader(client, place, tmp_path)
        for command in [*asked(page), *ASKED_TOO.get(page, ())]:
            reader.follow(command)
    assert reader.answers
    for shown in answers_of(page):
        alike = [came for came in reader.answers if is_like(shown, came) or has_it(came, shown)]
        assert alike, shown
        if "instance" in shown:  # a problem: its text has to match
            assert shown["detail"] in {came["detail"] for came in alike}


ASKED_TOO = {
    "docs/api.md": (
        """hook $HOOK/v1/events -d '[
            {"account": "acme", "type": "invoice.paid", "payload": {}},
            {"account": "acme", "type": "no.such", "payload": {}}]'""",
        """hook $HOOK/v1/endpoints -d '{"account": "acme", "url": "https://10.0.0.1/",
            "event_types": ["*"]}' || true""",
        """hook -X PATCH $HOOK/v1/endpoints/$EP -d '{"url": "https://example.net/hook"}'""",
        """hook "$HOOK/v1/audit-log?target=$EP\"""",
    ),
    "docs/filters.md": (
        """hook -X PATCH $HOOK/v1/endpoints/$EP -d '{"filter": {
            "$or": [{"amount": {"$gte": 1000}}, {"priority": "high"}],
            "customer": {"name": {"$not": {"$startsWith": "Test"}}}}}'""",
    ),
}
"""What the answers that a page shows came of, where it shows no command for them."""


def answers_of(page: str) -> list[dict[str, Any]]:
    """Return the responses that a page shows. A few members alone are not a response."""
    texts = [block.text for block in blocks("json", page=page)]
    return [json.loads(text) for text in texts if text.startswith("{")]


def has_it(came: Any, shown: dict[str, Any]) -> bool:
    """Return whether a response has a member with exactly this value, like an endpoint's filter."""
    return isinstance(came, dict) and shown in came.values()


def is_like(shown: Any, came: Any) -> bool:
    """Return whether a response has the members that are shown, and no others unless ``...`` is."""
    if isinstance(shown, dict):
        if not isinstance(came, dict) or not {*shown} - {"..."} <= {*came}:
            return False
        members = [is_like(value, came[name]) for name, value in shown.items() if name != "..."]
        return all(members) and ("..." in shown or {*shown} == {*came})
    if isinstance(shown, list):
        return isinstance(came, list) and all(map(is_like, shown, came))
    return True


async def test_the_pages_with_commands_are_found() -> None:
    assert {"docs/api.md", "docs/chat.md", "docs/portal.md", "docs/request-bin.md"} <= set(pages())
    assert len(asked("docs/api.md")) >= 40


class Reader:
    """A reader who follows a page, with the responses to its commands."""

    def __init__(self, client: Client, place: Place, folder: Path) -> None:
        self._client = client
        self._place = place
        self._folder = folder
        self._ids: dict[str, str] = {}
        self._bin = client.bins.create().url
        self.answers: list[Any] = []

    def follow(self, command: str) -> None:
        """Run a command, and check that its response is 2xx."""
        if command.startswith("hooktide apply "):
            self._apply(command.split()[2])
            return
        if "/v1/accounts -d" in command:
            self._start_again()
        self._rest()
        answer = self._run(self._filled_in(command))
        self.answers.append(answer)
        if "-X DELETE" in command:
            self._forget(command)
        elif isinstance(answer, dict):
            self._note(answer)

    def _apply(self, name: str) -> None:
        """Apply a shipped project, and wait for its accounts."""
        if not name.endswith(".toml"):
            self._client.projects.apply(name, read_shipped(name))
            self._patiently(lambda: self._client.accounts.get("all_projects"))

    def _start_again(self) -> None:
        """This page creates the account that other pages assume."""
        self._client.accounts.delete("acme")
        self._ids.clear()

    def _rest(self) -> None:
        """Wait until no replay is running, because an endpoint has one at a time."""
        if "rpl" in self._ids:
            self._patiently(lambda: self._ended(self._ids["rpl"]))

    def _ended(self, replay: str) -> None:
        if self._client.replays.get(replay).state == "running":
            raise NotYetError

    def _patiently(self, ask: Any) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask()
            except (NotFoundError, NotYetError):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def _filled_in(self, command: str) -> str:
        """Return a command with this test's addresses and values from earlier responses."""
        ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ago, command)
        text = text.replace("https://example.com/hook", self._bin)
        text = text.replace("http://127.0.0.1:8080", self._place.url).replace("…", "x")
        text = re.sub(r"\b([a-z]+)_0c8f1e5a3b2d4800", lambda found: self._id(found[1]), text)
        return text.replace("/customer-1/", "/acme/")

    def _id(self, kind: str) -> str:
        if kind not in self._ids:
            self._ids[kind] = self._made(kind)
        return self._ids[kind]

    def _made(self, kind: str) -> str:
        """Create what the page has not created, or has deleted."""
        match kind:
            case "ep":
                return self._client.endpoints.create(self._bin, ["*"], account="acme").id
            case "dlv":
                [first, *_] = self._client.deliveries.list(event=self._id("evt"))
                return first.id
            case "evt":
                return self._client.publish("acme", "invoice.paid", {"id": "inv_0"}).id
            case "key":
                return self._client.keys.create("account", "lost", account="acme").id
        raise AssertionError(f"the page has made no {kind}")

    def _run(self, command: str) -> Any:
        names = {name: kind for kind, name in NAMES.items() if f"${name}" in command}
        known = {name: self._id(kind) for name, kind in names.items()}
        if "$ACCOUNT_KEY" in command:
            known["ACCOUNT_KEY"] = self._client.keys.create("account", "own", account="acme").key
        if "$ENDPOINT" in command:
            known["ENDPOINT"] = self._id("ep")
        ran = subprocess.run(
            ["bash", "-c", f"{PRELUDE}\n{command}"],
            env=os.environ
            | {"HOOK": self._place.url, "KEY": self._place.key}
            | {"HOOKTIDE_OPERATOR_KEY": self._place.key, "HOOKTIDE_KEY": self._place.key}
            | {"HOOKTIDE_SERVER": self._place.url}
            | known,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def _note(self, answer: dict[str, Any]) -> None:
        answer = answer.get("replay") or answer.get("job") or answer
        kind, mark, _ = str(answer.get("id", "")).partition("_")
        if mark and kind != "dlv":
            self._ids[kind] = str(answer["id"])

    def _forget(self, command: str) -> None:
        """Recreate what was deleted if the page uses it again."""
        for kind, name in NAMES.items():
            if f"${name}" in command:
                self._ids.pop(kind, None)
                self._id(kind)


class NotYetError(Exception):
    """The awaited event has not happened yet."""


NAMES = {"ep": "EP", "evt": "EVT", "dlv": "DLV", "rpl": "RPL", "job": "JOB"}
"""What the pages call the ids of earlier answers, by what they begin with."""


def _defined(block: Block, start: str) -> Iterator[str]:
    return (each for each in statements(block) if each.startswith(start))


def _prelude() -> str:
    """Return the shell functions for requests, which fail if the response is an error."""
    [hook] = [each for b in blocks("sh", page="docs/api.md") for each in _defined(b, "hook()")]
    [api] = [each for b in blocks("sh", page="docs/quickstart.md") for each in _defined(b, "api()")]
    strict = 'curl() { command curl --fail-with-body "$@"; }'
    return f"set -eu\n{strict}\n{hook}\n{api}"


PRELUDE = _prelude()
