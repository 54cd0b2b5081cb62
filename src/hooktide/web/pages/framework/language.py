"""The languages of the customers' pages: what a message is in each, and who gets which.

English is what the templates and the code say. ``locale/de.po`` is the German of it; a message that
is not in it stays English. The operator's pages are English only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from hooktide.domain.phrase import NOUNS, Figure, Phrase
from hooktide.domain.project.portal import ENGLISH, LANGUAGES, PortalWords
from hooktide.web.pages.framework.own_names import renamed
from hooktide.web.pages.framework.po_file import read_po

SCRIPT_WORDS = (
    "(local)",
    "Copied",
    "Find",
    "Find in this body",
    "Fold line {count}",
    "Not allowed",
    "Times: UTC",
    "Times: local",
    "With those selected:",
    "connecting again…",
    "in {span}",
    "live",
    "no longer live: load the page again",
    "now",
    "{count} d",
    "{count} h",
    "{count} min",
    "{count} new",
    "{count} s",
    "{count} selected:",
    "{day} {month} {time}",
    "{day} {month} {year} {time}",
    "{day} {month} {year} {time} UTC",
    "{span} ago",
)
"""What the scripts in ``static/`` say."""
_SIGNS = {"de": str.maketrans(",.", ".,")}
"""How a language writes the signs of an English number, by language."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A language and its messages; ``names`` are the project's own for endpoints and events."""

    language: str
    messages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: PortalWords = field(default_factory=PortalWords)

    def gettext(self, message: str) -> str:
        """Return a message in this language."""
        return self._renamed(message, self.messages.get(message, (message,))[0])

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return a message for a number; English and German tell one from all others."""
        forms = self.messages.get(one, (one, many))
        return self._renamed(one, forms[0] if count == 1 else forms[-1])

    def say(self, value: object) -> str:
        """Write a text in this language: what a phrase or a figure says, any other as it is."""
        if isinstance(value, Phrase):
            return self._of_phrase(value)
        if isinstance(value, Figure):
            return value.translate(_SIGNS.get(self.language, {}))
        return str(value)

    def script_words(self) -> str:
        """Return what scripts say in this language, as JSON (``static/words.js``)."""
        said = {each: self.gettext(each) for each in SCRIPT_WORDS if each in self.messages}
        for one, many in (NOUNS[unit] for unit in ("day", "hour", "minute", "second")):
            said |= {one: self.ngettext(one, many, 1), many: self.ngettext(one, many, 2)}
        return json.dumps(said, ensure_ascii=False) if self.messages else ""

    def _renamed(self, message: str, text: str) -> str:
        if not (self.names.endpoint or self.names.event):
            return text
        return renamed(message, text, self.language, self.names)

    def _of_phrase(self, value: Phrase) -> str:
        if value.plural:
            message = self.ngettext(value.message, value.plural, value.number)
        else:
            message = self.gettext(value.message)
        return message.format_map({name: self.say(each) for name, each in value.values.items()})


@cache
def catalogue(language: str) -> Catalogue:
    """Return the messages of a language."""
    if language == ENGLISH:
        return Catalogue(language)
    text = (files("hooktide.web.pages") / "locale" / f"{language}.po").read_text("utf-8")
    return Catalogue(language, read_po(text))


def preferred(accept_language: str) -> str:
    """Return the language that a browser would rather have, of those that there are."""
    wanted: dict[str, float] = {}
    for part in accept_language.split(","):
        name, _, weight = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES:
            wanted[language] = max(wanted.get(language, 0), _weight(weight))
    best = max(wanted, key=lambda each: wanted[each], default=ENGLISH)
    return best if wanted.get(best) else ENGLISH


def _weight(text: str) -> float:
    """Return a preference, from 0 to 1; what is not one counts as none."""
    name, _, value = text.strip().partition("=")
    if not name:
        return 1
    try:
        return min(max(float(value), 0), 1) if name.strip() == "q" else 0
    except ValueError:
        return 0
