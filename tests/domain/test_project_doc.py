"""The project file's documentation: its examples are valid, and its list of keys is complete."""

import re
from pathlib import Path

import msgspec
import pytest
from docsite.staging import filled

from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.model import Event
from hooktide.domain.project.project import Project
from hooktide.domain.project.reading import parse_project

PAGE = Path(__file__).parents[2] / "docs" / "project-file.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
BODIES = re.findall(r"```toml\n(\[dialect\.envelope\].*?)```\n```json\n(.*?)\n```", TEXT, re.DOTALL)


def read(example: str) -> Project:
    named = example if example.startswith("name =") else f'name = "acme"\n{example}'
    return parse_project(named)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_documentation_is_accepted(example: str) -> None:
    assert read(example).name == "acme"


@pytest.mark.parametrize(("envelope", "body"), BODIES)
def test_a_documented_body_is_what_its_envelope_makes(envelope: str, body: str) -> None:
    payload = body[body.rindex("{") :].rstrip("}") + "}"
    kind = re.findall(r'"(?:event_)?type":"([^"]*)"', body)[0]
    happened = Event(
        id=0x0C8F1E5A3B2D4800,
        account_id=1,
        type=kind,
        payload=payload.encode(),
        occurred_at=1_644_578_819_631_326,
        transition="SUBMIT",
    )
    assert compile_dialect(read(envelope).dialect).body(happened).decode() == body


def test_there_is_a_body_for_each_shipped_envelope() -> None:
    assert len(BODIES) == 5


def test_every_key_is_documented() -> None:
    project = msgspec.to_builtins(parse_project('name = "a"\n[dialect.signature]\nheader = "x"'))
    groups = (
        project,
        project["retry"],
        project["plans"][0],
        project["fields"],
        project["portal"],
        project.pop("new_accounts"),
    )
    signature = project["dialect"].pop("signature")
    keys = {key for group in (*groups, project["dialect"], signature) for key in group}
    text = filled(PAGE)
    told = {
        key for key in keys if f"`{key}`" in text or f"[{key}" in text or f"[dialect.{key}" in text
    }
    assert keys - told == set()
