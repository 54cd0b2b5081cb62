"""How a project's customer portal looks, and who may embed it: the project file's ``[portal]``."""

import re
from dataclasses import dataclass

from hooktide.domain.toml_table import Table

ENGLISH, GERMAN = "en", "de"
LANGUAGES = (ENGLISH, GERMAN)
"""The languages that the customers' pages are in."""
LIGHT, DARK = "light", "dark"
THEMES = (LIGHT, DARK)
MAX_NAME_LENGTH = 80
MAX_ORIGINS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """How a portal looks, and which sites may show it in a frame.

    Parameters
    ----------
    name
        The heading of each page; by default the project's title.
    logo
        A picture next to it: an ``https://`` URL.
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
    """

    name: str = ""
    logo: str = ""
    colour: str = ""
    origins: tuple[str, ...] = ()
    language: str = ""
    theme: str = ""

    @property
    def logo_origin(self) -> str:
        """The logo's origin for the content security policy; empty if there is no logo."""
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
    )
    table.done()
    if len(portal.name) > MAX_NAME_LENGTH:
        raise table.wrong("name", f"{MAX_NAME_LENGTH} characters at most")
    if portal.logo and not portal.logo_origin:
        raise table.wrong("logo", "give a picture's URL, like https://example.com/logo.svg")
    if portal.colour and not _COLOUR.fullmatch(portal.colour):
        raise table.wrong("colour", "write it like #0b5cba")
    if portal.language and portal.language not in LANGUAGES:
        raise table.wrong("language", "write en or de, or leave it out for each reader's own")
    if portal.theme and portal.theme not in THEMES:
        raise table.wrong("theme", "write light or dark, or leave it out for each reader's own")
    if len(portal.origins) > MAX_ORIGINS:
        raise table.wrong("origins", f"{MAX_ORIGINS} origins at most")
    for origin in portal.origins:
        if not _ORIGIN.fullmatch(origin):
            raise table.wrong(
                "origins",
                "give origins like https://app.example.com, no path; http is for localhost and "
                "127.0.0.1 only",
            )
        if origin.endswith(":*") and not test:
            raise table.wrong("origins", "name the port; :* is for projects in test mode")
    return portal


# Both go into the pages' content security policy, where a space, a comma or a semicolon separates.
_HOST = r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
_ORIGIN = re.compile(
    rf"{_HOST}|http://(?:localhost|[a-z0-9-]{{1,63}}\.localhost|127\.0\.0\.1)(?::(?:[0-9]{{1,5}}|\*))?"
)
_LOGO = re.compile(rf"({_HOST})/[A-Za-z0-9._~%/?&=+@:-]{{0,1500}}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
