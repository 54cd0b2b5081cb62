"""Collects the texts of the customers' pages, and brings their translations up to date.

``PYTHONPATH=tests .venv/bin/python tests/texts.py`` adds what is new to ``locale/de.po`` and
removes what is gone. Translate it there; ``tests/test_texts.py`` says what is missing.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from hooktide.domain import stored_reasons
from hooktide.domain.phrase import NOUNS
from hooktide.web.pages.framework.language import SCRIPT_WORDS
from hooktide.web.pages.framework.messages import COUNTED
from hooktide.web.pages.views.replays import RESULTS

SOURCE = Path(__file__).parents[1] / "src" / "hooktide"
PAGES = SOURCE / "web" / "pages"
GERMAN = PAGES / "locale" / "de.po"
TEMPLATES = ("portal", "views")
"""The folders of templates that customers see."""

_OPTIONS = {
    "trimmed": "true",
    "newstyle_gettext": "true",
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
}
_KEYWORDS = {"phrase": None, "phrases": (1, 2)}
_TABLES = (
    *stored_reasons.ENDPOINT_REASONS,
    *stored_reasons.REST_REASONS,
    *stored_reasons.OTHER_REASONS,
    *stored_reasons.DETAILS,
    *stored_reasons.DETAILS_WITH_REASON,
    *SCRIPT_WORDS,
    *COUNTED.values(),
    *RESULTS.values(),
    *NOUNS.values(),
)
"""Messages that the code makes phrases of elsewhere than where they are written."""
_HEADER = rb"""# The customers' pages in German; tests/texts.py keeps it complete.
msgid ""
msgstr ""
"Language: de\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"Content-Type: text/plain; charset=utf-8\n"

"""


def collect() -> Catalog:
    """Return all texts that the customers' pages may show."""
    found = Catalog()
    for message, place in _messages():
        found.add(message, locations=[(place, 0)])
    return found


def _messages() -> Iterator[tuple[Any, str]]:
    for folder in TEMPLATES:
        for path in sorted((PAGES / "templates" / folder).glob("*.html")):
            for _, message, _, _ in extract_from_file("jinja2", path, options=_OPTIONS):
                yield message, path.relative_to(SOURCE).as_posix()
    for path in sorted(SOURCE.rglob("*.py")):
        for _, message, _, _ in extract_from_file("python", path, keywords=_KEYWORDS):
            yield message, path.relative_to(SOURCE).as_posix()
    for table in _TABLES:
        yield table, "tables"


def updated() -> bytes:
    """Return the German catalogue, with what is new and without what is gone."""
    known = Catalog(locale="de")
    if GERMAN.exists():
        with GERMAN.open("rb") as file:
            known = read_po(file, locale="de")
    known.update(collect(), no_fuzzy_matching=True)
    known.obsolete.clear()
    written = io.BytesIO(_HEADER)
    written.seek(0, io.SEEK_END)
    write_po(written, known, width=110, omit_header=True, sort_output=True, no_location=True)
    return written.getvalue()


if __name__ == "__main__":
    GERMAN.write_bytes(updated())
