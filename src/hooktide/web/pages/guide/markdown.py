"""The Markdown of a guide, from templates in which text is only ever text.

Whatever a template writes is escaped where it is written, so that it marks nothing up; ``Markup``
is Markdown already. There are two forms of it. One is read as it is. The other is what the page is
made of (``page``): it has the marks ``:::`` for what Markdown has no words for.
"""

import json
import re
from functools import cache, partial

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hooktide.domain.counting import count_of
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.visible_text import shown
from hooktide.web.pages.guide.example import indented
from hooktide.web.pages.guide.programs import Language

_MARKS = re.compile(r"[\\`*_{}\[\]<>&|~#$@!]|:(?=//)|(?<=www)\.")
_STARTS = re.compile(r"^(\d{1,9}(?=[.)]))?([-+=.):])")


def as_text(value: object) -> Markup:
    """Write a value so that nothing in it marks anything up; Markdown stays what it is."""
    if isinstance(value, Markup):
        return value
    text = _MARKS.sub(lambda found: f"\\{found[0]}", shown(str(value)).replace("\n", " "))
    return Markup(_STARTS.sub(lambda found: f"{found[1] or ''}\\{found[2]}", text))  # noqa: S704


def code(text: str) -> Markup:
    """Show a text as code."""
    text = shown(text).replace("\n", " ")
    if not text:
        return Markup()
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return Markup(f"{fence}{pad}{text}{pad}{fence}")  # noqa: S704


def cell(text: str) -> Markup:
    """Show a text as code within a table."""
    return code(text).replace("|", "\\|")


def listed(pieces: list[Markup]) -> Markup:
    """Join pieces as a sentence does: a, b and c."""
    *others, last = pieces
    return Markup(", ").join(others) + Markup(" and ") + last if others else last


def _listing(
    is_page: bool, id: str, title: str, lexer: str, text: str, wrapped: bool = False
) -> Markup:
    """Show a program, or another text to copy. ``id`` is unique in a guide.

    ``lexer`` is Pygments' name for it; ``wrapped``: its long lines are broken where they are shown.
    """
    text = shown(text)
    fence = "`" * max(3, _longest_run(text) + 1)  # no line of the text ends it
    if is_page:
        looks = "wrapped" if wrapped else "plain"
        return Markup(f"{fence}{lexer} {id} {looks} {title}\n{text}\n{fence}")  # noqa: S704
    return Markup(f"{as_text(title)}:\n\n{fence}{lexer}\n{text}\n{fence}")  # noqa: S704


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _details(is_page: bool, title: str, block: Markup) -> Markup:
    """Show a block to those who open it."""
    return _between(f"details {title}", block, "/details") if is_page else block


def _said(is_page: bool, language: Language, *blocks: Markup) -> Markup:
    """Show blocks to the readers of one language."""
    whole = Markup("\n\n").join(blocks)
    return _between(f"said {language.key}", whole, "/said") if is_page else whole


def _between(before: str, block: Markup, after: str) -> Markup:
    return Markup(f":::{before}\n\n{block}\n\n:::{after}")  # noqa: S704


def _part(is_page: bool, id: str, title: str) -> Markup:
    """Write the heading of a part whose anchor is not the one that its title gives it."""
    heading = Markup("### ") + as_text(title)
    return Markup(f":::part {id}\n\n{heading}") if is_page else heading  # noqa: S704


@cache
def templates(is_page: bool) -> Environment:
    """Return the templates, for the page or to be read as they are."""
    found = Environment(
        loader=PackageLoader("hooktide.web.pages"),
        autoescape=True,
        finalize=as_text,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    found.globals |= {
        "details": partial(_details, is_page),
        "is_page": is_page,
        "bring": lambda language: Markup(language.bring),  # noqa: S704
        "listing": partial(_listing, is_page),
        "part": partial(_part, is_page),
        "said": partial(_said, is_page),
    }
    found.filters |= {
        "at_most": formats.at_most,
        "cell": cell,
        "code": code,
        "counted": count_of,
        "indented": indented,
        "json": json.dumps,
        "listed": listed,
        "paragraphs": formats.paragraphs,
        "span": formats.span,
    }
    return found
