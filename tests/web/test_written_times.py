"""Pages write an instant, and a number, in one way each."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hooktide.web.pages
from hooktide.domain.model import DAY, SECOND, Micros
from hooktide.web.pages.framework.formats import ago, day, instant, minute, moment, when
from hooktide.web.pages.framework.language import catalogue

PAGES = Path(hooktide.web.pages.__file__).parent
AT: Micros = round(datetime(2026, 3, 8, 14, 51, 2, tzinfo=UTC).timestamp()) * SECOND

ONLY_HERE = {"framework/formats.py", "static/words.js"}
"""Where instants and numbers are written."""
OWN_WAYS = (
    r"toLocale\w*\(",
    r"Intl\.",
    r"strftime|isoformat",
    r'replace\("T"',
    r"\[:10\]",
    r"\[:1[69]\]\|(?!urlencode)",
    r"[\u2009\u202f]|&thinsp;",
    r"\{:,|:,\}",
)
"""How code would write one by itself."""


def test_an_instant_is_written_in_one_way() -> None:
    assert moment(AT) == moment("2026-03-08T14:51:02.000000Z") == "8 Mar 2026 14:51:02 UTC"
    assert minute(AT) == "8 Mar 2026 14:51"
    assert day(AT) == ago(AT, AT + 31 * DAY) == "8 Mar 2026"
    assert 'title="8 Mar 2026 14:51:02 UTC">6 d ago<' in when(AT, AT + 6 * DAY)
    assert ">8 Mar 2026 14:51:02 UTC</time> (6 d ago)" in instant(AT, AT + 6 * DAY)


def test_an_instant_is_written_in_german() -> None:
    assert catalogue("de").say(moment(AT)) == "8. Mär 2026 14:51:02 UTC"


FILES = [
    each
    for each in sorted(PAGES.rglob("*"))
    if each.suffix in {".py", ".html", ".js"} and "hooktide-portal" not in each.parts
]


@pytest.mark.parametrize("file", FILES, ids=lambda each: str(each.relative_to(PAGES)))
def test_no_page_writes_times_or_numbers_by_itself(file: Path) -> None:
    if str(file.relative_to(PAGES)) in ONLY_HERE:
        return
    found = [each.group() for way in OWN_WAYS for each in re.finditer(way, file.read_text())]
    assert found == []
