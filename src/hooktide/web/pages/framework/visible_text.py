"""Untrusted text as a page shows it: without hidden or reversed characters, and not too long."""

import re
from collections.abc import Callable
from functools import cache

import msgspec

from hooktide.domain.delivery.body_text import body_text

# C0 and C1 controls but tab and newline, and what turns the direction of text around or hides.
_HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_ESCAPES = {chr(code): f"\\u{code:04x}" for code in range(0x10000) if _HIDING.match(chr(code))}

MAX_SHOWN = 64 * 1024
"""Maximum bytes of a body that a page shows; the rest is cut off."""


JOINERS = "\u200c\u200d"
"""They have no width, and several scripts and emoji need them."""


def shown(text: str) -> str:
    """Make invisible characters visible, except joiners."""
    return visible(text, JOINERS)


def visible(text: str, but: str = "") -> str:
    """Make characters visible that would be invisible or would reverse the text."""
    escapes = _escapes(but)
    few = 100 + len(text) // 50
    written, count = _HIDING.subn(lambda found: escapes.get(found[0], found[0]), text, few)
    if count < few:
        return written
    return text.replace("\ufeff", escapes.get("\ufeff", "\ufeff")).translate(_table(but))


@cache
def _escapes(but: str) -> dict[str, str]:
    return {character: text for character, text in _ESCAPES.items() if character not in but}


@cache
def _table(but: str) -> list[int | str]:
    """Return what ``str.translate`` takes: a list, since a dict is slow for what is not in it.

    U+FEFF, far behind all others, is not there.
    """
    escapes = _escapes(but)
    return [escapes.get(chr(code), code) for code in range(0x2070)]


def indented(body: bytes, write: Callable[[str], str] = visible) -> str | None:
    """Indent JSON without touching its numbers, its key order or its duplicates.

    ``write`` makes its text fit to be shown; after ``MAX_SHOWN`` bytes it is cut off. None: it is
    not JSON.
    """
    try:
        whole = msgspec.json.format(body, indent=2)  # deep JSON becomes up to 64 times as long
        text = write(beginning(whole))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return text if len(whole) <= MAX_SHOWN else f"{text}\n…"


def beginning(body: bytes, *, truncated: bool = False) -> str:
    """Return the first ``MAX_SHOWN`` bytes of a body as text; what is not UTF-8 is written out.

    ``truncated``: the body itself is only the beginning of one.
    """
    truncated = truncated or len(body) > MAX_SHOWN
    return body_text(body[:MAX_SHOWN], truncated=truncated, errors="backslashreplace")
