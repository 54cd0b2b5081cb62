"""Names and descriptions: stored as NFC, without characters that hide or reorder text."""

import re
import unicodedata

from hooktide.domain.errors import InvalidError
from hooktide.domain.phrase import phrase

# Controls, line and paragraph separators, and bidirectional or zero-width characters (except the
# joiners, which emoji and several scripts need).
_HIDING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def check_text(text: str, pointer: str, longest: int, *, lines: bool = False) -> str:
    """Return a text in NFC; ``lines`` allows line breaks and tabs.

    :raises InvalidError: it is too long, has spaces at its ends, or contains such characters.
    """
    looked_at = re.sub("[\n\t]", " ", text) if lines else text
    if len(text) > longest:
        raise InvalidError(
            "invalid_text", phrase("{count} characters at most", count=longest), pointer=pointer
        )
    if text != text.strip():
        raise InvalidError(
            "invalid_text", phrase("leave out the spaces at its ends"), pointer=pointer
        )
    if _HIDING.search(looked_at):
        raise InvalidError(
            "invalid_text",
            phrase("control and direction characters are not allowed"),
            pointer=pointer,
        )
    return unicodedata.normalize("NFC", text)
