"""The page of a guide, made of its Markdown: headings are sections with anchors, quotes are notes,
fences are listings to copy.

The parser knows what the templates use and no more; it writes no HTML that it is given.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name

from hooktide.web.pages.framework.visible_text import shown
from hooktide.web.pages.guide.programs import LANGUAGES

MAX_COLOURED = 40_000
"""Characters: longer code is shown plain."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What the table of contents names: a section with its parts, or one of those."""

    id: str
    title: Markup
    parts: list["Heading"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """A guide as HTML: what comes before its first section, and the sections."""

    start: Markup
    sections: Markup
    contents: list[Heading]


def make_page(markdown: str) -> Page:
    """Make the page of a guide from its Markdown."""
    env: dict[str, Any] = {"contents": []}
    tokens = _parser.parse(markdown, env)
    first = next(at for at, token in enumerate(tokens) if token.type == "section_open")
    start, sections = (
        Markup(_parser.renderer.render(part, _parser.options, env))  # noqa: S704
        for part in (tokens[:first], tokens[first:])
    )
    return Page(start, sections, env["contents"])


def inline(markdown: str) -> Markup:
    """Write a sentence of Markdown as HTML."""
    return Markup(_parser.renderInline(markdown))  # noqa: S704


def coloured(lexer: str, code: str) -> Markup:
    """Mark up the words of a program; Pygments escapes all of it."""
    text = shown(code)
    if len(text) > MAX_COLOURED:
        return Markup.escape(text)
    return Markup(highlight(text, _lexer(lexer), _formatter()).rstrip("\n"))  # noqa: S704


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@cache
def _formatter() -> Any:
    return HtmlFormatter(nowrap=True)


def slug(title: str) -> str:
    """Return a heading's anchor, the one that Markdown gives it on most sites."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _read_mark(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a line like ``:::details Title`` (``markdown``)."""
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    if not line.startswith(":::"):
        return False
    if not silent:
        token = state.push("mark", "", 0)
        token.content = line[3:]
        state.line = start + 1
    return True


def _arrange(state: StateCore) -> None:
    tables = list(_with_heads(state.tokens))
    notes = list(_with_notes(tables))
    state.tokens = list(_in_sections(notes, state.env))


def _with_heads(tokens: Sequence[Token]) -> Iterator[Token]:
    """Name each cell's column, and make the first cell of a row its head."""
    heads: list[str] = []
    column = 0
    for at, token in enumerate(tokens):
        match token.type:
            case "thead_open":
                heads = []
            case "tr_open":
                column = 0
            case "th_open":
                token.attrSet("scope", "col")
                heads.append(tokens[at + 1].content)
            case "td_open" if column == 0:
                token.tag = "th"
                token.attrSet("scope", "row")
            case "td_open":
                token.attrSet("data-head", heads[column])
            case "td_close":
                token.tag = "th" if column == 0 else "td"
                column += 1
        yield token


def _with_notes(tokens: Sequence[Token]) -> Iterator[Token]:
    """Make quotes notes, and the first paragraph that is none the lead."""
    is_note, has_lead = False, False
    for token in tokens:
        match token.type:
            case "blockquote_open" | "blockquote_close":
                is_note = token.type == "blockquote_open"
                continue
            case "paragraph_open" if is_note:
                token.attrSet("class", "note heed")
            case "paragraph_open" if not has_lead:
                token.attrSet("class", "lead")
                has_lead = True
        yield token


def _in_sections(tokens: Sequence[Token], env: Any) -> Iterator[Token]:
    """Put what follows a heading into a section with an anchor, and note it in the contents."""
    contents: list[Heading] = env.get("contents", [])
    open_levels: list[int] = []
    wanted = ""
    for at, token in enumerate(tokens):
        if token.type == "mark" and token.content.startswith("part "):
            wanted = token.content.removeprefix("part ")
            continue
        if token.type == "heading_open" and token.tag != "h1":
            level, title = int(token.tag[1:]), tokens[at + 1]
            while open_levels and open_levels[-1] >= level:
                open_levels.pop()
                yield Token("section_close", "section", -1, block=True)
            open_levels.append(level)
            written = Markup(_parser.renderer.render([title], _parser.options, env))  # noqa: S704
            heading = Heading(wanted or slug(title.content), written)
            (contents if level == 2 else contents[-1].parts).append(heading)
            yield _section(heading, level)
            token.attrSet("id", f"{heading.id}-title")
            _link(title, heading.id)
            wanted = ""
        yield token
    for _ in open_levels:
        yield Token("section_close", "section", -1, block=True)


def _section(heading: Heading, level: int) -> Token:
    attrs: dict[str, str | int | float] = {
        "id": heading.id,
        "aria-labelledby": f"{heading.id}-title",
    }
    if level > 2:
        attrs["class"] = "part"
    return Token("section_open", "section", 1, attrs=attrs, block=True)


def _link(title: Token, id: str) -> None:
    """Let a heading lead to itself."""
    start = Token("link_open", "a", 1, attrs={"class": "anchor", "href": f"#{id}"})
    title.children = [start, *(title.children or []), Token("link_close", "a", -1)]


class _Renderer(RendererHTML):
    """Writes what is not HTML as usual: listings and marks."""

    def fence(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        lexer, id, looks, title = tokens[at].info.split(" ", 3)
        return Markup(
            '<figure class="listing">\n<figcaption>{}'
            '<button type="button" class="copy" data-copy="{}">Copy</button></figcaption>\n'
            '<pre id="{}" tabindex="0"{}>{}</pre>\n</figure>\n'
        ).format(
            title,
            id,
            id,
            Markup(' class="wrapped"') if looks == "wrapped" else "",
            coloured(lexer, tokens[at].content.removesuffix("\n")),
        )

    def mark(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        name, _, words = tokens[at].content.partition(" ")
        match name:
            case "details":
                return Markup("<details><summary>{}</summary>\n").format(words)
            case "said":
                return Markup('<div class="said in-{}">\n').format(words)
            case "choice":
                return _choice()
            case "/details":
                return "</details>\n"
            case _:
                return "</div>\n"


def _choice() -> str:
    """Let readers choose their language, for the whole guide."""
    choices = [
        Markup(
            '<input type="radio" name="tongue" id="tongue-{0}" value="{0}"{2}>'
            '<label for="tongue-{0}">{1}</label>\n'
        ).format(language.key, language.title, "" if at else Markup(" checked"))
        for at, language in enumerate(LANGUAGES)
    ]
    legend = '<legend class="unseen">Language of the programs</legend>\n'
    return f'<fieldset class="choice">\n{legend}{"".join(choices)}</fieldset>\n'


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("zero", renderer_cls=_Renderer)
    parser.enable(["heading", "list", "blockquote", "fence", "table"])
    parser.enable(["emphasis", "link", "backticks", "escape"])
    parser.block.ruler.before("fence", "mark", _read_mark)
    parser.core.ruler.push("arrange", _arrange)
    return parser


_parser = _make_parser()
