"""What all pages share: the security policy, the templates, the style sheet and scripts.

``static/hooktide.css`` is the design system: tokens (type, space, colour, light and dark) and the
few parts that all pages are built of. A page's own sheet only arranges them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, lru_cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.domain.ids import made_at, show
from hooktide.domain.phrase import Figure, Phrase
from hooktide.domain.project.portal import DARK, ENGLISH, NO_WORDS, THEMES, PortalWords
from hooktide.domain.time.spans import show_span
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.compression import compressed_file, takes_gzip
from hooktide.web.pages.framework.forms import sentence
from hooktide.web.pages.framework.language import Catalogue, catalogue
from hooktide.web.pages.framework.visible_text import shown

POLICY: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""The headers of every page: nothing runs, loads or frames it but what is served here."""

MAX_KINDS = 32
"""How many languages and names templates are kept for, compiled."""

_KINDS = {
    "hooktide.css": "text/css",
    "words.js": "text/javascript",
    "framed.js": "text/javascript",
    "copy.js": "text/javascript",
    "charts.js": "text/javascript",
    "bin.css": "text/css",
    "bin.js": "text/javascript",
    "parts.css": "text/css",
    "portal.css": "text/css",
    "live.js": "text/javascript",
    "log.js": "text/javascript",
    "json.js": "text/javascript",
    "dashboard.css": "text/css",
    "docs.css": "text/css",
    "docs.js": "text/javascript",
}


_THEMED = {f"hooktide.{theme}.css": "all" if theme == DARK else "not all" for theme in THEMES}
"""The design system for one theme whatever the reader's system is set to, and when what is dark in
it holds."""
_BY_SYSTEM = b"@media (prefers-color-scheme: dark)"


def static_routes() -> list[Route]:
    """Return the routes of the static files."""
    kinds = {**_KINDS, **dict.fromkeys(_THEMED, "text/css")}
    return [Route(f"/static/{name}", _static(name, kind)) for name, kind in kinds.items()]


def asset(name: str) -> str:
    """Return the path of a style sheet or script; it changes with its content."""
    return f"/static/{name}?v={_version(name)}"


@cache
def _content(name: str) -> bytes:
    if name in _THEMED:
        theme = name.split(".")[1]
        plain = _content("hooktide.css").replace(
            b"color-scheme: light dark", f"color-scheme: {theme}".encode()
        )
        return plain.replace(_BY_SYSTEM, f"@media {_THEMED[name]}".encode())
    return (files("hooktide.web.pages") / "static" / name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]


def _static(name: str, kind: str) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        # Another version's path may be requested while servers are being replaced: do not cache it.
        known = request.query_params.get("v") == _version(name)
        keep = "public, max-age=31536000, immutable" if known else "no-cache"
        headers = {
            "x-content-type-options": "nosniff",
            "cache-control": keep,
            "vary": "accept-encoding",
        }
        if not takes_gzip(request.headers):
            return Response(_content(name), headers=headers, media_type=kind)
        headers["content-encoding"] = "gzip"
        return Response(compressed_file(_content(name)), headers=headers, media_type=kind)

    return serve


def render(template: str, language: str = ENGLISH, **facts: Any) -> str:
    """Fill a template."""
    return templates(language).get_template(template).render(**facts)


def render_page(skin: str, template: str, language: str, own: PortalWords, /, **facts: Any) -> str:
    """Fill a skin's own template, or the one that skins share, on the skin's base template.

    ``own`` are the words of the project in this language.
    """
    names = [f"{skin}/{template}", f"views/{template}"]
    found = templates(language, own.names).select_template(names)
    facts = {**facts, "language": language, "welcome": own.welcome}
    return found.render(base_template=f"{skin}/base.html", **facts)


@lru_cache(maxsize=MAX_KINDS)
def templates(language: str, names: PortalWords = NO_WORDS) -> Environment:
    """Return the templates in a language, with a project's names for endpoints and events.

    What they write is translated where it is written: a ``Phrase``, and what they mark with
    ``_()`` and ``trans``.
    """
    known = replace(catalogue(language), names=names)
    found = Environment(
        loader=PackageLoader("hooktide.web.pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=partial(_written, known),
        extensions=["jinja2.ext.i18n"],
    )
    found.policies["ext.i18n.trimmed"] = True
    found.newstyle_gettext = True  # type: ignore[attr-defined]
    found.globals |= {
        "asset": asset,
        "id": show,
        "script_words": known.script_words(),
        **_texts(known),
    }
    found.filters |= {**_FILTERS, "capital": partial(_capital, known)}
    found.filters |= {"sentence": partial(_sentence, known), "say": known.say}
    return found


def _written(known: Catalogue, value: Any) -> Any:
    """Say a value in the language of a page, and make its invisible characters visible."""
    if isinstance(value, Phrase | Figure) or type(value) is str:
        return shown(known.say(value))
    return value


def _texts(known: Catalogue) -> dict[str, Any]:
    """Return what marked texts of templates are translated with; their values are escaped."""

    def gettext(message: str, **values: Any) -> Markup:
        return _filled(known, known.gettext(message), values)

    def ngettext(one: str, many: str, num: int, **values: Any) -> Markup:
        written = {"num": formats.number(num), **values}
        return _filled(known, known.ngettext(one, many, num), written)

    return {"_": gettext, "gettext": gettext, "ngettext": ngettext}


def _filled(known: Catalogue, message: str, values: Mapping[str, Any]) -> Markup:
    written = {name: _written(known, value) for name, value in values.items()}
    return Markup(message) % written  # noqa: S704 - the text of our own catalogue


def _capital(known: Catalogue, value: object) -> str:
    said = known.say(value)
    return said[:1].upper() + said[1:]


def _sentence(known: Catalogue, value: object) -> str:
    return sentence(known.say(value))


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": formats.ago,
    "icon": formats.icon,
    "at": show_time,
    "counted": formats.counted,
    "duration": formats.duration,
    "instant": formats.instant,
    "made_at": made_at,
    "moment": formats.moment,
    "number": formats.number,
    "pair": formats.pair,
    "roughly": formats.roughly,
    "share": formats.share,
    "short": formats.short,
    "short_url": formats.short_url,
    "shown": shown,
    "size": formats.size,
    "span": show_span,
    "twice": lambda text: (text, text),
    "when": formats.when,
}
