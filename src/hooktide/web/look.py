"""What every page has in common: its policy, its templates, its style sheet and scripts.

``static/hooktide.css`` is the design system: tokens (type, space, colour, light and dark) and the
few parts that all pages are built of. A page's own sheet only arranges them.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

import msgspec
from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
    "bin.css": "text/css",
    "bin.js": "text/javascript",
    "parts.css": "text/css",
    "portal.css": "text/css",
    "live.js": "text/javascript",
    "dashboard.css": "text/css",
    "docs.css": "text/css",
    "docs.js": "text/javascript",
}

# C0 and C1 controls but tab and newline, and what turns the direction of text around or hides.
_HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def visible(text: str) -> str:
    """Write out the characters that would not be seen or would turn the rest around."""
    return _HIDING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def indented(body: bytes, write: Callable[[str], str] = visible) -> str | None:
    """Indent JSON without touching its numbers, its key order or its duplicates.

    ``write`` makes its text fit to be shown. None: it is no JSON.
    """
    try:
        return write(msgspec.json.format(body, indent=2).decode())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def static_routes() -> list[Route]:
    """Return the routes of all that pages are made of."""
    return [Route(f"/static/{name}", _static(name, kind)) for name, kind in _KINDS.items()]


def asset(name: str) -> str:
    """Return the path of a style sheet or script; it changes with its content."""
    return f"/static/{name}?v={_version(name)}"


@cache
def _content(name: str) -> bytes:
    return (files("hooktide.web") / "static" / name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]


def _static(name: str, kind: str) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        # Another version's path may be asked for while servers are being replaced: not to be kept.
        known = request.query_params.get("v") == _version(name)
        keep = "public, max-age=31536000, immutable" if known else "no-cache"
        headers = {"x-content-type-options": "nosniff", "cache-control": keep}
        return Response(_content(name), headers=headers, media_type=kind)

    return serve


templates = Environment(
    loader=PackageLoader("hooktide.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
templates.globals["asset"] = asset
