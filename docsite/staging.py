"""Lays out the pages that MkDocs builds: ``docs/``, and what those pages link to outside of it.

A file outside ``docs/`` is put below ``repository/``, Markdown as a page and anything else as it
is; a folder gets a page that lists it. Links are changed accordingly, so that the sources also
work where somebody reads them in the repository. ``<!-- generated: NAME -->`` in a page is
replaced by what ``reference`` generates under that name.
"""

import os
import re
import shutil
from pathlib import Path

from docsite import reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(\]\()([^()\s]+)(\))")
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_GENERATED = re.compile(r"^<!-- generated: ([\w -]+) -->$", re.MULTILINE)


def lay_out(folder: Path) -> list[Path]:
    """Write the pages and files of the site into a folder; return the pages."""
    if folder.exists():
        shutil.rmtree(folder)
    waiting = [path for path in sorted(DOCS.rglob("*")) if path.is_file()]
    placed: dict[Path, Path] = {}
    while waiting:
        source = waiting.pop(0)
        if source in placed:
            continue
        target = placed[source] = folder / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() or source.suffix == ".md":
            text = _listing(source) if source.is_dir() else filled(source)
            links = links_of(text, source.parent if source.is_file() else source)
            waiting += [path for path in links if path.exists()]
            text = _relinked(text, source, place_of(source))
            target.write_text(_head(place_of(source)) + text, "utf-8")
        else:
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "docsite" / "site.css", folder / "site.css")
    return [path for path in placed.values() if path.suffix == ".md"]


def filled(page: Path) -> str:
    """Return a page's text with what is generated in its place."""
    text = page.read_text("utf-8")
    return _GENERATED.sub(lambda found: reference.part(found[1]), text)


def place_of(source: Path) -> Path:
    """Return where a file or folder of the repository is in the site's sources."""
    if source.is_dir():
        return place_of(source / "README.md")
    if source.is_relative_to(DOCS):
        return source.relative_to(DOCS)
    return Path("repository") / source.relative_to(ROOT)


def links_of(text: str, folder: Path) -> list[Path]:
    """Return the files and folders that a page in this folder links to."""
    found = [link for _, link, _ in _LINK.findall(_FENCE.sub("", text))]
    paths = [link.partition("#")[0] for link in found if ":" not in link]
    return [(folder / path).resolve() for path in paths if path]


def _relinked(text: str, source: Path, place: Path) -> str:
    folder = source if source.is_dir() else source.parent

    def moved(found: re.Match[str]) -> str:
        path, mark, anchor = found[2].partition("#")
        if ":" in found[2] or not path:
            return found[0]
        target = place_of((folder / path).resolve())
        return f"{found[1]}{os.path.relpath(target, place.parent)}{mark}{anchor}{found[3]}"

    kept, at = [], 0
    for fence in _FENCE.finditer(text):
        kept += [_LINK.sub(moved, text[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*kept, _LINK.sub(moved, text[at:])])


def _head(place: Path) -> str:
    """Return what a page begins with: those for contributors are found after the others."""
    aside = place.parts[0] in {"decisions", "repository"}
    return "---\nsearch:\n  boost: 0.2\n---\n\n" if aside else ""


def _listing(folder: Path) -> str:
    """Return a page that lists a folder's files."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    lines = [f"- [`{path}`]({path})" for path in paths if "__pycache__" not in path.parts]
    return "\n".join([f"# {folder.relative_to(ROOT)}", "", *lines, ""])
