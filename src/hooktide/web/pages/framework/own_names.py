"""A project's own names for endpoints and events, in the texts of its portal.

English texts take them wherever they speak of one. A German noun has a gender and cases, which its
articles and pronouns follow, so German texts take them only where the noun stands without either:
in labels, headings and counts.
"""

import re
from functools import cache

from hooktide.domain.project.portal import GERMAN, PortalWords

_GERMAN_LABELS = frozenset(
    (
        "Add an endpoint",
        "Add endpoint",
        "All events",
        "Edit endpoint",
        "Endpoint",
        "Endpoint added",
        "Endpoint added.",
        "Endpoint deleted.",
        "Endpoint updated.",
        "Endpoints",
        "Event",
        "Events",
        "No endpoints yet",
        "No events match.",
        "Replay events",
        "all events",
        "endpoint",
        "endpoint deleted",
        "{count} endpoint",
        "{count} event",
    )
)
"""Messages whose German has the noun alone."""


def renamed(message: str, text: str, language: str, words: PortalWords) -> str:
    """Return what a message says in a language, with the project's names in it."""
    if language == GERMAN:
        if message not in _GERMAN_LABELS:
            return text
        text = _german("Endpunkt", "Endpunkte", text, words.endpoint, words.endpoints)
        return _german("Ereignis", "Ereignisse", text, words.event, words.events)
    text = _english("endpoint", text, words.endpoint, words.endpoints)
    return _english("event", text, words.event, words.events)


def _german(one: str, many: str, text: str, own: str, own_many: str) -> str:
    if not own:
        return text
    return re.sub(rf"\b({many}|{one})\b", lambda each: own if each[1] == one else own_many, text)


def _english(noun: str, text: str, own: str, own_many: str) -> str:
    if not own:
        return text

    def rename(found: re.Match[str]) -> str:
        article, first, plural = found.groups()
        word = own_many if plural else own
        word = word[0].upper() + word[1:] if first.isupper() else word
        return (article and _article(article, word)) + word

    return _noun(noun).sub(rename, text)


def _article(article: str, word: str) -> str:
    return f"{article[0]}n " if word[0] in "aeiouAEIOU" else f"{article[0]} "


@cache
def _noun(noun: str) -> re.Pattern[str]:
    """Return what finds a noun with its article; not the name of a value's place."""
    first = f"[{noun[0]}{noun[0].upper()}]"
    return re.compile(rf"(?<![\w({{])((?:[Aa]n )?)({first}){noun[1:]}(s?)(?![\w)}}])")
