"""The parts of a page that changed, for a page that keeps itself current (``static/live.js``).

A script fetches its page again and names what it has: a tag of each part (an element with an id
and ``data-live``) and of each row of a log in it. It is sent the parts alone, each with its tag. In
place of one that it has there is an empty element with that tag.
"""

import re
from collections.abc import Collection
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

HAVE = "hooktide-have"
"""The header with the tags that a script has, separated by spaces; empty: none."""
MAX_HAD = 500
TAG_BYTES = 6

_PART = re.compile(r'<([a-z][a-z0-9]*)(?= [^>]*\bid="([^"]+)")(?= [^>]*\bdata-live\b)')
_ROW = re.compile(r'<tr (?=data-id=")(.*?</tr>)', re.DOTALL)
_PASSING = re.compile(
    r'name="csrf" value="[^"]*"|(<time class="soon"[^>]*>)[^<]*|(?<=">)(?:in [^<]*|now)(?=</time>)'
)
"""What looks different each time and is not news: the token of forms, and what counts down: in any
language what a script counts (``static/live.js``), in English what ``formats.when`` writes."""


def only_changed(response: Response, request: Request) -> Response:
    """Reduce a page to what a script does not have, if one asks for that."""
    named = request.headers.get(HAVE)
    if named is None or response.status_code != 200:
        return response
    had = frozenset(named.split()[:MAX_HAD])
    response.body = changed_parts(bytes(response.body).decode(), had).encode()
    response.headers["content-length"] = str(len(response.body))
    response.headers.add_vary_header(HAVE)
    return response


def changed_parts(page: str, had: Collection[str]) -> str:
    """Return the parts of a page, with an empty element for each that a script has."""
    found, done = list[str](), 0
    for start in _PART.finditer(page):
        if start.start() < done:
            continue  # within the part before
        done = _end(page, start)
        found.append(_sent(page[start.start() : done], start[1], start[2], had))
    return "".join(found)


def _sent(part: str, element: str, id_: str, had: Collection[str]) -> str:
    tag = _tag(part)
    if tag in had:
        return f'<div id="{id_}" data-same="{tag}"></div>'

    def row(found: re.Match[str]) -> str:
        tag = _tag(found[0])
        return f'<tr data-same="{tag}"></tr>' if tag in had else f'<tr data-tag="{tag}" {found[1]}'

    rest = _ROW.sub(row, part.removeprefix(f"<{element}"))
    return f'<{element} data-tag="{tag}"{rest}'


def _end(page: str, start: re.Match[str]) -> int:
    """Return where the element that starts there ends. Text has no markup: it is escaped."""
    depth = 0
    for tag in re.compile(rf"<(/?){start[1]}\b").finditer(page, start.start()):
        depth += -1 if tag[1] else 1
        if not depth:
            return page.index(">", tag.end()) + 1
    return len(page)


def _tag(text: str) -> str:
    return blake2b(_PASSING.sub(r"\1", text).encode(), digest_size=TAG_BYTES).hexdigest()
