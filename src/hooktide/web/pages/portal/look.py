"""How a portal is shown at one place: what the query of a link asks for, kept in the portal's path.

``/portal/TOKEN?theme=dark&framed=1&next=/deliveries`` leads to
``/portal/TOKEN~dark~framed/deliveries``: there are no cookies, so what all pages should know is in
the path of all of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.phrase import phrase
from hooktide.domain.project.portal import LANGUAGES, THEMES

FRAMED = "framed"
NEXT = "next"
MAX_NEXT_LENGTH = 500
_NEXT = re.compile(r"/[A-Za-z0-9_.=&?%/-]*")


@dataclass(frozen=True, slots=True)
class Look:
    """How a portal is shown; empty: as the project says.

    ``framed``: without the header, and it tells its size to the page around it.
    """

    theme: str = ""
    language: str = ""
    framed: bool = False

    @property
    def suffix(self) -> str:
        """What follows the token in the path of each page."""
        words = (self.theme, self.language, FRAMED if self.framed else "")
        return "".join(f"~{word}" for word in words if word)


def read_suffix(text: str) -> Look:
    """Read what follows the token.

    :raises NotFoundError: it is nothing that a link leads to.
    """
    theme = language = ""
    framed = False
    for word in text.split("~") if text else ():
        if word in THEMES:
            theme = word
        elif word in LANGUAGES:
            language = word
        elif word == FRAMED:
            framed = True
        else:
            raise NotFoundError("portal link")
    return Look(theme, language, framed)


def asked_look(query: Mapping[str, str], now: Look) -> Look | None:
    """Return what a link's query asks for; None if it asks for nothing.

    :raises InvalidError: a value is not one of those that there are.
    """
    if not query.keys() & {"theme", "language", FRAMED, NEXT}:
        return None
    theme, language = query.get("theme", now.theme), query.get("language", now.language)
    framed = query.get(FRAMED, "1" if now.framed else "")
    _check("theme", theme, THEMES)
    _check("language", language, LANGUAGES)
    _check(FRAMED, framed, ("1",))
    return Look(theme, language, bool(framed))


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value and value not in known:
        detail = phrase("{name} is one of {values}", name=name, values=", ".join(known))
        raise InvalidError("invalid_choice", detail, pointer=f"/{name}")


def next_page(text: str) -> str:
    """Return the page that a link leads to, below the portal's path; empty: its first.

    :raises InvalidError: it is not a path of the portal.
    """
    outside = "//" in text or ".." in text.replace("%2e", ".").replace("%2E", ".")
    if text and (outside or len(text) > MAX_NEXT_LENGTH or not _NEXT.fullmatch(text)):
        detail = phrase("next is a path within the portal, like /deliveries")
        raise InvalidError("invalid_choice", detail, pointer="/next")
    return text
