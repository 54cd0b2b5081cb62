"""The documentation's commands, links and files exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from docsite.staging import filled
from pagekit import PAGES, ROOT

from hooktide.cli import app

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each ``hooktide`` in a page's shell blocks."""
    for language, block in BLOCK.findall(page.read_text()):
        if language in ("sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                yield from _arguments(line)


def _arguments(line: str) -> Iterator[list[str]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a multi-line quotation: another program's input
        return
    for at, word in enumerate(words):
        # The program itself, not a user, an image or a service of that name.
        follows = words[at + 1] if at + 1 < len(words) else ""
        if Path(word).name == "hooktide" and follows in KNOWN:
            rest = words[at + 1 :]
            ends = [n for n, each in enumerate(rest) if each in ("|", "&&", ";", "<", ">", "&")]
            yield rest[: min(ends, default=None)]


KNOWN = set(app)


def read(arguments: list[str]) -> str:
    """Return what is wrong with a command line, without running it."""
    try:
        app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one_that_there_is(page: Path) -> None:
    wrong = {" ".join(each): read(each) for each in commands(page)}
    assert {command: why for command, why in wrong.items() if why} == {}


def test_commands_are_found_and_wrong_ones_are_noticed() -> None:
    found = [each for page in PAGES for each in commands(page)]
    assert len(found) > 10
    assert {each[0] for each in found} >= {"serve", "apply", "backup", "audit"}
    assert "Unknown option" in read(["serve", "--prosesses", "4"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text())
    for link in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    text = BLOCK.sub("", filled(page))
    headings = re.findall(r"^#+ (.+?)(?: \{ #.*\})?$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    return slugs | set(re.findall(r"\{ #(\S+) \}", text))


def test_every_file_of_ours_that_a_page_names_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"(?<![\w/])deploy/[\w./-]+\w", page.read_text()):
            assert name.endswith("/.env") or (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_page_can_be_reached_from_the_first_one() -> None:
    waiting, found = [ROOT / "README.md"], set()
    while waiting:
        page = waiting.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
        waiting += [(page.parent / link).resolve() for link in links if link and ":" not in link]
    assert {page for page in PAGES if page.parent.name != "decisions"} - found == set()


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("0*.md")]
    assert len(numbers) == len(set(numbers))
