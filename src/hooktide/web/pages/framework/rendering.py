"""What all pages share: the security policy, the templates, the style sheet and scripts.

``static/hooktide.css`` is the design system: tokens (type, space, colour, light and dark) and the
few parts that all pages are built of. A page's own sheet only arranges them.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.domain.counting import count_of
from hooktide.domain.ids import made_at, show
from hooktide.domain.time.spans import show_span
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.compression import compressed_file, takes_gzip
from hooktide.web.pages.framework.forms import sentence
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

_KINDS = {
    "hooktide.css": "text/css",
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


def static_routes() -> list[Route]:
    """Return the routes of the static files."""
    return [Route(f"/static/{name}", _static(name, kind)) for name, kind in _KINDS.items()]


def asset(name: str) -> str:
    """Return the path of a style sheet or script; it changes with its content."""
    return f"/static/{name}?v={_version(name)}"


@cache
def _content(name: str) -> bytes:
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


def render(template: str, **facts: Any) -> str:
    """Fill a template."""
    return _templates.get_template(template).render(**facts)


def render_page(skin: str, template: str, **facts: Any) -> str:
    """Fill a skin's own template, or the one that skins share, on the skin's base template."""
    found = _templates.select_template([f"{skin}/{template}", f"views/{template}"])
    return found.render(base_template=f"{skin}/base.html", **facts)


def _written(value: Any) -> Any:
    """Make invisible characters visible in every text that a page shows."""
    return shown(value) if type(value) is str else value


_templates = Environment(
    loader=PackageLoader("hooktide.web.pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_written,
)
_templates.globals |= {"asset": asset, "id": show}
_templates.filters |= {
    "ago": formats.ago,
    "icon": formats.icon,
    "at": show_time,
    "counted": count_of,
    "duration": formats.duration,
    "instant": formats.instant,
    "made_at": made_at,
    "number": formats.number,
    "pair": formats.pair,
    "roughly": formats.roughly,
    "sentence": sentence,
    "share": formats.share,
    "short": formats.short,
    "short_url": formats.short_url,
    "shown": shown,
    "size": formats.size,
    "span": show_span,
    "twice": lambda text: (text, text),
    "when": formats.when,
}
