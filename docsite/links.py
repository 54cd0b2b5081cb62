"""The links of the built site: internal ones lead somewhere, external ones are well formed.

Nothing is fetched. A page may link to another site, but loads nothing from one.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?", re.IGNORECASE)
_LOADED = {"src", "srcset", "poster"}


class Page(HTMLParser):
    """A page's links and the anchors that lead into it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, bool]] = []
        """Each link, and whether the page loads what is there."""
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element links to and is called."""
        named = {name: value for name, value in attrs if value is not None}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        loaded = tag == "link" and named.get("rel") in {"stylesheet", "icon", "preload"}
        if "href" in named:
            self.links.append((named["href"], loaded))
        self.links += [(named[name], True) for name in _LOADED if name in named]


def problems(site: Path) -> list[str]:
    """Return what is wrong with the links of a built site, one sentence each."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the root of the site's host
            continue
        for link, loaded in page.links:
            for problem in _problems(link, loaded, path, pages):
                found.append(f"{path.relative_to(site)}: {link}: {problem}")
    return found


def _problems(link: str, loaded: bool, path: Path, pages: dict[Path, Page]) -> Iterator[str]:
    parts = urlsplit(link)
    if parts.scheme in {"mailto", "data", "javascript"}:
        return
    if parts.scheme or parts.netloc:
        if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.netloc):
            yield "this is not a well-formed URL"
        elif loaded:
            yield "the page loads something from another site"
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        yield "this page does not exist"
    elif parts.fragment and target in pages and parts.fragment not in pages[target].anchors:
        yield "the page has no such anchor"
