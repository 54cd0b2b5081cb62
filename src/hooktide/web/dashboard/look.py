"""How the dashboard's pages are written: their templates, and how numbers and instants are said."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from hooktide.domain.ids import made_at, show
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros
from hooktide.domain.project import Project
from hooktide.domain.spans import show_span
from hooktide.domain.times import show_time
from hooktide.web.docs.render import shown
from hooktide.web.forms import sentence
from hooktide.web.look import POLICY, templates

NONE = "\N{EN DASH}"

# Browsers say where a form comes from only as far as this policy lets them.
HEADERS = {
    **POLICY,
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


def page_response(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, **facts: Any
) -> Response:
    """Answer with a page."""
    html = _pages.get_template(f"dashboard/{template}").render(**facts)
    return Response(html, status, {**HEADERS, **(headers or {})}, "text/html")


def _written(value: Any) -> Any:
    """Write out what would not be seen, in every text that a page shows."""
    return shown(value) if type(value) is str else value


# -- instants and spans ----------------------------------------------------------------------------

_STEPS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def when(at: Micros | None, now: Micros) -> Markup:
    """Write an instant as how long ago it was, with the whole of it beside."""
    if at is None:
        return Markup('<span class="small">never</span>')
    whole = show_time(at)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        whole, whole[:19].replace("T", " "), ago(at, now)
    )


def ago(at: Micros, now: Micros) -> str:
    """Say how long ago an instant was, or how soon it is."""
    span = abs(now - at)
    if span < 2 * SECOND:
        return "now"
    if span >= 30 * DAY:
        return show_time(at)[:10]
    text = roughly(span)
    return f"in {text}" if at > now else f"{text} ago"


def roughly(span: Micros) -> str:
    """Say a span in its largest unit: ``3 h``."""
    for unit, name in _STEPS:
        if span >= unit:
            return f"{span // unit} {name}"
    return f"{max(span, 0) / 1000:.0f} ms"


def duration(span: Micros | None) -> str:
    """Say how long a request took."""
    if span is None:
        return NONE
    if span < SECOND:
        return f"{span / 1000:.0f} ms"
    return f"{span / SECOND:.1f} s"


# -- numbers ---------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Write a number with its thousands apart."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def short(value: int) -> str:
    """Write a number in little room: ``12.3k``."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * size:
            return f"{value / size:.0f}{letter}"
        if value >= size:
            return f"{value / size:.1f}{letter}".replace(".0", "")
    return str(value)


def size(count: int) -> str:
    """Write a number of bytes."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def share(part: int, whole: int) -> str:
    """Write a part of a whole: ``99.4 %``; never 100 % where something is missing."""
    if not whole:
        return NONE
    per_mille = part * 1000 // whole
    return f"{per_mille // 10} %" if per_mille % 10 == 0 else f"{per_mille / 10:.1f} %"


def counted(value: int, one: str, many: str = "") -> str:
    """Write a number with what it counts: ``1 event``, ``2 events``."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def pair(project: Project) -> tuple[str, str]:
    """Return a project as something to choose: its name, and what people read."""
    return project.name, project.title


_pages = templates.overlay(finalize=_written)
_pages.filters = {
    **_pages.filters,
    "ago": ago,
    "at": show_time,
    "counted": counted,
    "duration": duration,
    "made_at": made_at,
    "number": number,
    "pair": pair,
    "twice": lambda text: (text, text),
    "roughly": roughly,
    "sentence": sentence,
    "share": share,
    "short": short,
    "shown": shown,
    "size": size,
    "span": show_span,
    "when": when,
}
_pages.globals = {**_pages.globals, "id": show}
