"""The documentation's pages, their code blocks, and the commands in those blocks."""

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block. ``line`` is the number of its first line. ``language`` may be empty."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str, page: str = "") -> list[Block]:
    """Return the blocks of these languages, or of all, on one page or on every page."""
    found = [block for each in PAGES for block in _blocks(each)]
    return [
        block
        for block in found
        if (not languages or block.language in languages) and page in {"", block.page}
    ]


@functools.cache
def _blocks(page: Path) -> tuple[Block, ...]:
    return tuple(_read(page))


def _read(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        indent, language, inside = found.groups()
        yield Block(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, found.start(3)) + 1,
            language,
            re.sub(f"^{indent}", "", inside, flags=re.MULTILINE),
        )


def statements(block: Block) -> Iterator[str]:
    """Yield a shell block's commands, each with its continuation lines."""
    waiting = ""
    for line in block.text.splitlines():
        waiting += line + "\n"
        if not _is_whole(waiting):
            continue
        if shlex.split(waiting, comments=True):
            yield waiting.strip()
        waiting = ""
    assert not waiting, f"{block}: this does not end: {waiting}"


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation continues on the next line
        return False
    return not command.rstrip("\n").endswith("\\")
