"""The documentation site: the generated parts are complete, and broken links are found."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from docsite import links, reference, staging

from hooktide.cli import app
from hooktide.domain.errors import ConfigError
from hooktide.domain.project.project import Fields
from hooktide.domain.project.reading import parse_project
from hooktide.runtime.settings import Settings
from hooktide.web.problems.problem_table import PROBLEMS
from hooktide.web.routes import OPERATIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    laid = tmp_path_factory.mktemp("site") / "docs"
    staging.lay_out(laid)
    return laid


def test_every_page_is_filled_in(folder: Path) -> None:
    pages = list(folder.rglob("*.md"))
    assert len(pages) > 60
    assert [page for page in pages if "<!-- generated" in page.read_text()] == []


def test_the_reference_has_everything_that_there_is(folder: Path) -> None:
    def page(name: str) -> str:
        return (folder / "reference" / f"{name}.md").read_text()

    settings, commands, api, errors = map(page, ("settings", "commands", "api", "errors"))
    assert [one.name for one in fields(Settings) if _variable(one.name) not in settings] == []
    names = [name for name in app if not name.startswith("-")]
    assert [name for name in names if f"## hooktide {name}\n" not in commands] == []
    described = [f"`{each.document.method} {each.document.path}`" for each in OPERATIONS]
    assert [each for each in described if each not in api] == []
    assert [code for code in PROBLEMS if f"### `{code}`" not in errors] == []


def _variable(name: str) -> str:
    return f"`HOOKTIDE_{name.upper()}`"


SECTIONS = {
    "Project": "",
    "NewAccounts": "accounts.",
    "Retry": "retry.",
    "Plan": "plans.a.",
    "EventType": 'event_types."a.b".',
    "Wording": 'event_types."a.b".message.',
    "Portal": "portal.",
    "PortalWords": "portal.en.",
    "Dialect": "dialect.",
    "Signature": "dialect.signature.",
}
"""The tables of a project file, by the class whose docstring describes the keys."""

NOT_KEYS = {
    *("dialect", "event_types", "plans", "retry", "new_accounts", "fields", "portal"),
    *("signature", "headers"),
    "name",
}
"""They have tables of their own; a plan's name, and an event type's, is in that of its table."""


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_key_of_a_project_file_is_described_and_there_is_no_other(kind: str) -> None:
    table = reference.TABLES[kind]
    told = reference.parameters(table)
    named = {each.name for each in fields(table)}
    assert told.keys() <= named
    assert named - told.keys() <= NOT_KEYS
    for key in told:
        with pytest.raises(ConfigError) as refused:  # no key takes a table of this shape
            parse_project(f"{SECTIONS[kind]}{key} = {{no = {{such = 1}}}}\n")
        wrong = [refused.value, *refused.value.others]
        unknown = [each.key for each in wrong if "there is no such key" in each.reason]
        assert f"{SECTIONS[kind]}{key}" not in unknown


def test_every_table_of_a_project_file_is_compared() -> None:
    assert reference.TABLES.keys() - SECTIONS.keys() == {"Fields"}  # names of the product's own API


@pytest.mark.parametrize("kind", SECTIONS)
def test_the_defaults_of_a_project_file_are_written_as_in_the_file(kind: str) -> None:
    table = reference.TABLES[kind]
    shown = reference.keys(kind)
    for field in fields(table):
        if field.name in reference.parameters(table) and field.name in reference.SPANS:
            parse_project(_with(kind, field.name, _shown_default(shown, field.name)))
    assert not re.search(r"`\d{6,}`", shown)  # microseconds


def _with(kind: str, key: str, value: str) -> str:
    return f'name = "a"\n{SECTIONS[kind]}{key} = {value}\n' if value != "none" else 'name = "a"'


def _shown_default(page: str, key: str) -> str:
    found = re.search(rf"^\| `{key}` \| `?(.*?)`? \|", page, re.MULTILINE)
    assert found
    return found[1]


def test_only_what_a_project_file_has_to_have_is_called_required() -> None:
    assert _shown_default(reference.keys("Project"), "title") == "none"
    assert _shown_default(reference.keys("Project"), "name") == "required"


def test_the_page_names_every_field_of_an_endpoint_that_can_be_renamed() -> None:
    text = (staging.DOCS / "project-file.md").read_text()
    section = text.partition("### `[fields]`")[2].partition("```")[0]
    named = re.findall(r"`(\w+)`", section)
    assert sorted(named) == sorted(field.name for field in fields(Fields))


def test_every_guarantee_names_a_test_that_there_is() -> None:
    page = staging.DOCS / "guarantees.md"
    found = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", page.read_text())
    assert len(found) > 15
    for name, path in found:
        assert f"def {name}(" in (page.parent / path).read_text(), path


def test_a_bad_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/index.html").write_text(
        '<h1 id="here">A</h1><a href="#here">1</a><a href="../b.html#there">2</a>'
        '<a href="../no.html">3</a><a href="../b.html#no">4</a><a href="https://a b/">5</a>'
        '<a href="https://example.com/x">6</a><script src="https://example.com/x.js"></script>'
    )
    (tmp_path / "b.html").write_text('<p id="there">B</p><a href="a/">A</a>')
    assert links.problems(tmp_path) == [
        "a/index.html: ../no.html: this page does not exist",
        "a/index.html: ../b.html#no: the page has no such anchor",
        "a/index.html: https://a b/: this is not a well-formed URL",
        "a/index.html: https://example.com/x.js: the page loads something from another site",
    ]
