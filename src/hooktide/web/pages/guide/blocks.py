"""What a guide is made of: sections of paragraphs, lists, tables and code.

Text is only ever text here: what a project says about itself is kept apart from what marks it up
until HTML or Markdown is written, and escaped there.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias


class Style(StrEnum):
    """How a stretch of text looks."""

    PLAIN = "plain"
    CODE = "code"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text in one style; with ``href`` it leads there."""

    text: str
    style: Style = Style.PLAIN
    href: str = ""


Text: TypeAlias = tuple[Span, ...]


def code(text: str) -> Span:
    """Show a name, a value, something to type."""
    return Span(text, Style.CODE)


def strong(text: str) -> Span:
    """Show what matters most."""
    return Span(text, Style.STRONG)


def link(text: str, href: str) -> Span:
    """Lead somewhere: ``#retries-and-timeouts``, or an address of ours."""
    return Span(text, Style.PLAIN, href)


def say(form: str, *pieces: str | Span | Text) -> Text:
    """Write a text: each ``{}`` of the form is the next piece, whatever that holds."""
    first, *others = form.split("{}")
    spans = [Span(first)]
    for piece, after in zip(pieces, others, strict=True):
        spans += _spans(piece)
        spans.append(Span(after))
    return tuple(span for span in spans if span.text)


def listed(pieces: list[Span], last: str = "and") -> Text:
    """Join pieces as a sentence does: a, b and c."""
    if len(pieces) < 2:
        return tuple(pieces)
    commas = ", ".join("{}" for _ in pieces[:-1])
    return say(f"{commas} {last} {{}}", *pieces)


def _spans(piece: str | Span | Text) -> Text:
    if isinstance(piece, str):
        return (Span(piece),)
    return (piece,) if isinstance(piece, Span) else piece


def slug(title: str) -> str:
    """Return a heading's anchor, the one that Markdown gives it on most sites."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    kind: ClassVar[str] = "paragraph"
    text: Text


@dataclass(frozen=True, slots=True)
class Points:
    """A list; ``ordered``: of steps."""

    kind: ClassVar[str] = "points"
    items: tuple[Text, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row names it."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something to heed."""

    kind: ClassVar[str] = "note"
    title: str
    text: Text


@dataclass(frozen=True, slots=True)
class Listing:
    """Code to read or to copy. ``id`` is unique in a guide; ``lexer`` is Pygments' name for it.

    ``wrapped``: its long lines are broken where they are shown.
    """

    kind: ClassVar[str] = "listing"
    id: str
    title: str
    lexer: str
    code: str
    wrapped: bool = False


@dataclass(frozen=True, slots=True)
class More:
    """What is there for those who open it."""

    kind: ClassVar[str] = "more"
    title: str
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a section under a heading of its own; ``literal``: the title is a name in code."""

    kind: ClassVar[str] = "part"
    id: str
    title: str
    blocks: tuple["Block", ...]
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Tongue:
    """A programming language that readers may choose."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where readers choose their language; it is chosen for the whole guide."""

    kind: ClassVar[str] = "choice"
    tongues: tuple[Tongue, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said to the readers of one language."""

    kind: ClassVar[str] = "said"
    tongue: Tongue
    blocks: tuple["Block", ...]


Block: TypeAlias = Paragraph | Points | Table | Note | Listing | More | Part | Choice | Said


@dataclass(frozen=True, slots=True)
class Section:
    """A section; ``parts`` are those that the table of contents names."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def id(self) -> str:
        """Its anchor."""
        return slug(self.title)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that it has."""
        return tuple(each for each in self.blocks if isinstance(each, Part))


@dataclass(frozen=True, slots=True)
class Guide:
    """All that is said of a project's webhooks. ``path`` is where the guide is on the server."""

    title: str
    path: str
    lead: Text
    notes: tuple[Note, ...]
    sections: tuple[Section, ...]
