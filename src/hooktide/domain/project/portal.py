"""How a project's customer portal looks, what it says in the project's own words, and who may embed
it: the project file's ``[portal]``."""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field, replace

from hooktide.domain.toml_table import Table

ENGLISH, GERMAN = "en", "de"
LANGUAGES = (ENGLISH, GERMAN)
"""The languages that the customers' pages are in."""
LIGHT, DARK = "light", "dark"
THEMES = (LIGHT, DARK)
MAX_NAME_LENGTH = 80
MAX_ORIGINS = 20
MAX_LOGO_LENGTH = 16_000
"""Characters of a logo that is part of the project: it is in each page."""
MAX_WELCOME_LENGTH = 300
MAX_WORD_LENGTH = 30
MAX_SUPPORT_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalWords:
    """A project's own words in the portal, in one language; empty: the portal's.

    Parameters
    ----------
    welcome
        A text above the endpoints, without markup; 300 characters at most.
    endpoint
        What an endpoint is called within a sentence, like ``"connection"``; 30 characters at most.
    endpoints
        What several are called. Give both or neither.
    event
        What an event is called within a sentence, like ``"message"``; 30 characters at most.
    events
        What several are called. Give both or neither.
    """

    welcome: str = ""
    endpoint: str = ""
    endpoints: str = ""
    event: str = ""
    events: str = ""

    @property
    def names(self) -> "PortalWords":
        """Only what things are called."""
        return replace(self, welcome="")


NO_WORDS = PortalWords()


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """How a portal looks, and which sites may show it in a frame.

    Parameters
    ----------
    name
        The heading of each page; by default the project's title.
    logo
        A picture next to it: an ``https://`` URL, or the picture itself, PNG or SVG, as a
        ``data:image/png;base64,`` or ``data:image/svg+xml;base64,`` URL of 16,000 characters at
        most.
    colour
        The colour of links and buttons, ``"#rrggbb"``; by default Hooktide's blue. It is darkened
        or lightened if it would not be readable.
    origins
        The sites that may embed it in a frame, like ``"https://app.example.com"``, or
        ``"http://localhost:3000"`` during development, in test mode also ``"http://localhost:*"``;
        empty: none.
    language
        The language of its pages, ``"en"`` or ``"de"``; by default each reader's own, as their
        browser says, or English. The public guide is in English.
    theme
        ``"light"`` or ``"dark"``; by default what each reader's system is set to.
    support
        Where customers get help, an ``https://`` URL or an e-mail address: each page leads there.
    en
        Your own words where the portal speaks English: ``[portal.en]``, see below.
    de
        Likewise where it speaks German: ``[portal.de]``.
    """

    name: str = ""
    logo: str = ""
    colour: str = ""
    origins: tuple[str, ...] = ()
    language: str = ""
    theme: str = ""
    support: str = ""
    en: PortalWords = field(default_factory=PortalWords)
    de: PortalWords = field(default_factory=PortalWords)

    def words(self, language: str) -> PortalWords:
        """Return the project's own words in a language."""
        return self.de if language == GERMAN else self.en

    @property
    def support_link(self) -> str:
        """Where a link to the support leads; empty: nowhere."""
        return f"mailto:{self.support}" if "@" in self.support.partition("/")[0] else self.support

    @property
    def logo_origin(self) -> str:
        """The logo's origin for the content security policy; empty if it comes from nowhere."""
        found = _LOGO.fullmatch(self.logo)
        return found[1] if found else ""


def read_portal(table: Table, *, test: bool) -> Portal:
    """Read the table of a project file; ``test``: the project is in test mode.

    :raises ConfigError: the table is invalid.
    """
    portal = Portal(
        name=table.text("name", "").strip(),
        logo=table.text("logo", ""),
        colour=table.text("colour", "").lower(),
        origins=table.texts("origins"),
        language=table.text("language", ""),
        theme=table.text("theme", ""),
        support=table.text("support", "").strip(),
        en=_read_words(table.table("en")),
        de=_read_words(table.table("de")),
    )
    table.done()
    if len(portal.name) > MAX_NAME_LENGTH:
        raise table.wrong("name", f"{MAX_NAME_LENGTH} characters at most")
    if portal.logo and not portal.logo_origin and not _is_picture(portal.logo):
        raise table.wrong(
            "logo",
            "give a picture's URL, like https://example.com/logo.svg, or a PNG or an SVG as a "
            f"data:image/png;base64, or data:image/svg+xml;base64, URL of {MAX_LOGO_LENGTH:,} "
            "characters at most",
        )
    if portal.support and not _is_support(portal.support):
        raise table.wrong(
            "support", "give a URL, like https://example.com/help, or an e-mail address"
        )
    if portal.colour and not _COLOUR.fullmatch(portal.colour):
        raise table.wrong("colour", "write it like #0b5cba")
    if portal.language and portal.language not in LANGUAGES:
        raise table.wrong("language", "write en or de, or leave it out for each reader's own")
    if portal.theme and portal.theme not in THEMES:
        raise table.wrong("theme", "write light or dark, or leave it out for each reader's own")
    _check_origins(portal.origins, table, test)
    return portal


def _check_origins(origins: tuple[str, ...], table: Table, test: bool) -> None:
    if len(origins) > MAX_ORIGINS:
        raise table.wrong("origins", f"{MAX_ORIGINS} origins at most")
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise table.wrong(
                "origins",
                "give origins like https://app.example.com, no path; http is for localhost and "
                "127.0.0.1 only",
            )
        if origin.endswith(":*") and not test:
            raise table.wrong("origins", "name the port; :* is for projects in test mode")


def _read_words(table: Table) -> PortalWords:
    words = PortalWords(
        welcome=table.text("welcome", "").strip(),
        endpoint=table.text("endpoint", "").strip(),
        endpoints=table.text("endpoints", "").strip(),
        event=table.text("event", "").strip(),
        events=table.text("events", "").strip(),
    )
    table.done()
    if len(words.welcome) > MAX_WELCOME_LENGTH:
        raise table.wrong("welcome", f"{MAX_WELCOME_LENGTH} characters at most")
    if not words.welcome.isprintable() or "<" in words.welcome:
        raise table.wrong("welcome", "write one line of plain text, without markup")
    for one, many in (("endpoint", "endpoints"), ("event", "events")):
        for key in (one, many):
            word = getattr(words, key)
            if word and not (_WORD.fullmatch(word) and len(word) <= MAX_WORD_LENGTH):
                raise table.wrong(
                    key, f"use 1 to {MAX_WORD_LENGTH} letters, digits, hyphens and spaces"
                )
        if bool(getattr(words, one)) != bool(getattr(words, many)):
            raise table.wrong(one, f"give {one} and {many}, for one and for several")
    return words


def _is_picture(url: str) -> bool:
    """Whether a data URL has a PNG or an SVG in it; pages show it as a picture only."""
    found = _PICTURE.fullmatch(url)
    if found is None or len(url) > MAX_LOGO_LENGTH:
        return False
    try:
        content = b64decode(found[2], validate=True)
    except binascii.Error:
        return False
    begins = (b"\x89PNG\r\n\x1a\n",) if found[1] == "png" else (b"<svg", b"<?xml")
    return content.startswith(begins)


def _is_support(text: str) -> bool:
    found = _LOGO.fullmatch(text) or _BARE_HOST.fullmatch(text) or _MAIL.fullmatch(text)
    return found is not None and len(text) <= MAX_SUPPORT_LENGTH


# Both go into the pages' content security policy, where a space, a comma or a semicolon separates.
_HOST = r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
_ORIGIN = re.compile(
    rf"{_HOST}|http://(?:localhost|[a-z0-9-]{{1,63}}\.localhost|127\.0\.0\.1)(?::(?:[0-9]{{1,5}}|\*))?"
)
_LOGO = re.compile(rf"({_HOST})/[A-Za-z0-9._~%/?&=+@:-]{{0,1500}}")
_BARE_HOST = re.compile(_HOST)
_MAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_PICTURE = re.compile(r"data:image/(png|svg\+xml);base64,([A-Za-z0-9+/]+={0,2})")
# Such a word can stand in any text of a page: it is neither markup nor a place for a value.
_WORD = re.compile(r"[^\W_](?:(?:[^\W_]|[ -])*[^\W_])?")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
