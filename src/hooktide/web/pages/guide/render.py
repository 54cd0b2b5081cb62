"""A guide as HTML and as Markdown, each by a template of its own; text stays text in both."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name

from hooktide.web.pages.framework.rendering import render
from hooktide.web.pages.framework.visible_text import shown
from hooktide.web.pages.guide.blocks import Guide, Listing, Span, Style

MAX_COLOURED = 40_000
"""Characters: longer code is shown plain."""


def html(guide: Guide) -> str:
    """Write a guide as a page."""
    return render("guide/guide.html", guide=guide, coloured=coloured, shown=shown)


def markdown(guide: Guide, page: str) -> str:
    """Write a guide as Markdown (CommonMark, with GitHub's tables); ``page`` is its address."""
    return _documents.get_template("guide/guide.md").render(guide=guide, page=page)


def coloured(listing: Listing) -> Markup:
    """Mark up the words of a program; Pygments escapes all of it."""
    text = shown(listing.code)
    if len(text) > MAX_COLOURED:
        return Markup.escape(text)
    return Markup(highlight(text, _lexer(listing.lexer), _formatter()).rstrip("\n"))  # noqa: S704


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@cache
def _formatter() -> Any:
    return HtmlFormatter(nowrap=True)


_MARKS = re.compile(r"[\\`*_{}\[\]<>&|~#$@!]|:(?=//)|(?<=www)\.")
_STARTS = re.compile(r"^(\d{1,9}(?=[.)]))?([-+=.)])")


def md_text(text: str) -> str:
    """Write a text so that nothing in it marks anything up."""
    return _MARKS.sub(lambda found: f"\\{found[0]}", shown(text))


def md_span(span: Span, cell: bool = False) -> str:
    """Write a span; ``cell``: within a table."""
    if span.style is Style.CODE:
        return _md_code(span.text, cell)
    text = md_text(span.text)
    if span.style is Style.STRONG:
        return f"**{text}**"
    return f"[{text}]({span.href})" if span.href else text


def _md_code(text: str, cell: bool) -> str:
    text = shown(text).replace("\n", " ")
    fence = "`" * (_longest_run(text) + 1)
    if not text:
        return ""
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    whole = f"{fence}{pad}{text}{pad}{fence}"
    return whole.replace("|", "\\|") if cell else whole


def md_fence(text: str) -> str:
    """Return a fence that no line of a program ends."""
    return "`" * max(3, _longest_run(text) + 1)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def md_start(text: str) -> str:
    """Keep a paragraph's beginning from being a list's or a heading's."""
    return _STARTS.sub(lambda found: f"{found[1] or ''}\\{found[2]}", text)


# Its texts are escaped by the filters: autoescape knows only HTML.
_documents = Environment(
    loader=PackageLoader("hooktide.web"),
    autoescape=False,  # noqa: S701
    trim_blocks=True,
    lstrip_blocks=True,
)
_documents.filters |= {
    "text": md_text,
    "span": md_span,
    "fence": md_fence,
    "start": md_start,
    "shown": shown,
}
