"""Every code block in the documentation is parsed, run or compared, depending on its language.

A block with its own test is in ``ELSEWHERE``. A block in another language is either in ``SHOWN``,
if it is a program's output that is compared with the real one, or in ``NOT_RUN``.
"""

import ast
import base64
import csv
import hashlib
import hmac
import importlib
import json
import re
import shutil
import subprocess
import tomllib
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest
from pagekit import ROOT, Block, blocks, statements
from postgreskit import database
from standardwebhooks import Webhook

from hooktide.domain.errors import ConfigError
from hooktide.domain.project.reading import parse_project

ELSEWHERE = {
    ("docs/command-line.md", ""): "commands/test_doc.py",
    ("docs/command-line.md", "http"): "commands/test_doc.py",
    ("docs/outbox.md", "sql"): "outbox/test_outbox_doc.py",
    ("docs/watching.md", "promql"): "deploy/test_watching.py",
    ("docs/watching.md", "yaml"): "deploy/test_watching.py",
    ("docs/api.md", "yaml"): "web/test_generated_clients.py",
}
"""Blocks that another test runs, and which."""

NOT_RUN = {
    ("docs/deploying.md", "caddyfile"): "needs Caddy",
    ("ARCHITECTURE.md", ""): "a drawing",
    ("docs/concepts.md", ""): "a drawing",
}

SHOWN = {
    "docs/dashboard.md": "src/hooktide/app/first_start.py",
    "docs/operations.md": "src/hooktide/store/maintenance/invariants.py",
    "docs/project-file.md": "",
}
"""Pages that show what a program says, and where it says it; or a test of its own does below."""

OF_A_LANGUAGE = {"json", "toml", "csv", "python", "js", "html", "sql", "sh"}
"""Each has a test here; ``sh`` in ``test_docs_commands.py`` too."""


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks(*languages), ids=str)


def test_no_block_is_left_out() -> None:
    known = ELSEWHERE.keys() | NOT_RUN.keys() | {(page, "") for page in SHOWN}
    found = {(block.page, block.language) for block in blocks()}
    left = {key for key in found - known if key[1] not in OF_A_LANGUAGE}
    assert left == set(), "give it a language that is tested here, or a test of its own"
    assert known - found == set()
    for name in ELSEWHERE.values():
        assert (ROOT / "tests" / name).exists()


@each("json")
def test_json_is_json(block: Block) -> None:
    text = block.text.strip()
    if text.startswith('"'):  # some members of an object
        text = f"{{{text}}}"
    try:
        assert json.loads(text)
    except json.JSONDecodeError:  # one value per line
        assert [json.loads(line) for line in text.splitlines()]


@each("toml")
def test_a_projects_file_or_a_part_of_one_is_accepted(block: Block) -> None:
    named = re.match(r"(# .*\n)?name = ", block.text)
    assert parse_project(block.text if named else f'name = "acme"\n{block.text}').name


def test_the_message_about_a_wrong_file_is_the_one_that_comes() -> None:
    [block] = blocks("", page="docs/project-file.md")
    wrong = 'name = "acme"\n\n\n\n\n[dialect.signature]\nheader = "x"\nencodng = "hex"\n'
    with pytest.raises(ConfigError) as refused:
        parse_project(wrong, "acme.toml")
    assert str(refused.value) == block.text.strip()


@each("csv")
def test_a_table_has_a_value_for_each_column(block: Block) -> None:
    rows = list(csv.reader(block.text.splitlines()))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}


def _has(module: ModuleType, name: str) -> bool:
    return hasattr(module, name) or (
        hasattr(module, "__path__") and find_spec(f"{module.__name__}.{name}") is not None
    )


FOLLOWED = {"docs/fastapi.md", "docs/django.md"}
"""``test_docs_start.py`` makes the files that are shown there, and runs them."""


@each("python")
def test_a_program_compiles_and_imports_what_there_is(block: Block) -> None:
    tree = ast.parse(block.text, str(block))
    compile(tree, str(block), "exec")
    if block.page in FOLLOWED:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            missing = [alias.name for alias in node.names if not _has(module, alias.name)]
            assert missing == [], f"{node.module} has no such name"


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_lines_for_standard_webhooks_compute_its_signature() -> None:
    [block] = [b for b in blocks("python", page="docs/consumers.md") if "expected" in b.text]
    headers = {"webhook-id": "evt_1", "webhook-timestamp": "1767268800"}
    names = {"headers": headers, "body": b"{}", "secret": SECRET}
    exec(block.text, names | {"base64": base64, "hmac": hmac, "hashlib": hashlib}, names)
    at = datetime.fromtimestamp(1_767_268_800, UTC)
    assert names["expected"] == Webhook(SECRET).sign("evt_1", at, "{}")


@each("js")
@pytest.mark.parametrize(("header", "verified"), [("ab12", True), ("ab13", False), ("", False)])
def test_javascript_compares_as_it_says(block: Block, header: str, verified: bool) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    request = json.dumps({"headers": {"x-ia-signature": header} if header else {}})
    program = (
        "const crypto = require('crypto')\nconst hash = 'ab12'\n"
        f"const req = {request}\n{block.text}\nconsole.log(verified)"
    )
    ran = subprocess.run(
        ["node", "-e", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == str(verified).lower()


class Opened(HTMLParser):
    """Parses HTML. ``tags`` are the open tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag


@each("html")
def test_html_closes_what_it_opens(block: Block) -> None:
    reading = Opened()
    reading.feed(block.text)
    reading.close()
    assert reading.tags == []


WEBHOOKS = """
CREATE TABLE webhooks (customer_id text, url text, secret text, event_types text[], active bool);
INSERT INTO webhooks VALUES ('acme', 'https://a', 's', '{invoice.paid,invoice.created}', false);
"""


async def test_sql_runs_in_postgresql() -> None:
    [export] = blocks("sql", page="docs/migrating.md")
    other = {block.page for block in blocks("sql")} - {"docs/migrating.md"}
    assert other == {"docs/outbox.md"}
    async with database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(WEBHOOKS)
        [row] = await connection.fetch(export.text)
        await connection.close()
    [table] = blocks("csv", page="docs/migrating.md")
    assert list(row.keys()) == table.text.partition("\n")[0].split(",")
    assert row["event_types"] == "invoice.paid invoice.created"


@pytest.mark.parametrize("page", ["docs/dashboard.md", "docs/operations.md"])
def test_what_a_program_is_shown_to_say_is_what_it_says(page: str) -> None:
    said = "".join((ROOT / SHOWN[page]).read_text().split())
    [block] = blocks("", page=page)
    for line in block.text.splitlines():
        words = re.sub(r"^ *\d+  |  .*|http.*", "", line.strip())
        if words not in {"...", "1 of these is broken", ""}:
            assert "".join(words.split()) in said, words


MADE = {"make", "pip", "python3", "python"}
READ = {"hooktide"}
"""What follows is read by ``test_pages.py``."""
RUN = {"curl", "hook", "api", "api()", "hook()"}
"""What is asked of a server is run by ``test_docs_commands.py`` and ``test_quickstart.py``."""
FOLLOWED_TOO = {"pip", "uvicorn", "django-admin"}
OF_THE_SHELL = {"export", "eval", "cd"}
ELSE = {
    "systemctl": "needs systemd as the first process; test_systemd.py reads the units",
    "systemd-sysusers": "adds a user to this machine",
    "journalctl": "needs systemd as the first process",
    "install": "writes to /etc",
    "sudo": "becomes another user; what it runs is read by test_pages.py",
    "$EDITOR": "a person types",
    "docker": "needs Docker's daemon; test_containers.py reads the files",
    "cp": "copies a file that test_pages.py looks for",
    "kubectl": "needs a cluster",
    "helm": "needs a cluster; test_helm.py renders the chart with these values",
    "pg_dump": "needs the operator's database",
    "pg_restore": "needs the operator's database",
    "getent": "asks the network's DNS",
    "df": "shows this machine's disks",
    "echo": "a person types into a consumer; the demo runs the same consumer",
}
"""Programs that no test can run, and why."""


def program(statement: str) -> str:
    return Path(statement.split()[0]).name


def test_every_command_is_run_read_or_has_its_reason() -> None:
    found = {program(each): str(b) for b in blocks("sh") for each in statements(b)}
    known = MADE | READ | RUN | FOLLOWED_TOO | OF_THE_SHELL | ELSE.keys()
    assert {name: at for name, at in found.items() if name not in known} == {}
    assert ELSE.keys() - found.keys() == set()


@each("sh")
def test_the_shell_understands_it(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""


def test_what_is_made_or_installed_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for block in blocks("sh"):
        for each in statements(block):
            if program(each) == "make":
                assert each.split()[1] in targets, f"{block}: {each}"
            for extra in re.findall(r"(?:hooktide|\.)\[(\w+)\]", each):
                assert extra in extras, f"{block}: {each}"
            for module in re.findall(r"python -m (bench\.\w+)", each):
                assert (ROOT / f"{module.replace('.', '/')}.py").exists(), f"{block}: {each}"
            for path in re.findall(r"\bsrc/[\w/.]+", each):
                assert (ROOT / path).exists(), f"{block}: {each}"
