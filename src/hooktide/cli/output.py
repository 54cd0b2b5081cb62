"""Output: tables, colours on a terminal only, JSON on request.

Text from outside (reasons, bodies) is shown with escaped control characters, so that it cannot
control the terminal.
"""

import sys
import unicodedata
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from rich.console import Console
from rich.text import Text

Cell: TypeAlias = str | Text

STATE_STYLES = {
    "delivered": "green",
    "failed": "red",
    "held": "yellow",
    "pending": "cyan",
    "discarded": "dim",
    "valid": "green",
    "invalid": "red",
    "running": "cyan",
    "done": "green",
    "cancelled": "yellow",
}


def console(*, error: bool = False) -> Console:
    """Return a console that never breaks a line, and has colours only on a terminal."""
    return Console(stderr=error, soft_wrap=True, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print a value as a line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def print_line(*cells: Cell, error: bool = False) -> None:
    """Print cells, separated by two spaces."""
    line = Text("  ").join(cell if isinstance(cell, Text) else Text(cell) for cell in cells)
    line.rstrip()
    console(error=error).print(line)


def print_rows(
    titles: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    numbers: Container[str] = (),
    error: bool = False,
) -> None:
    """Print rows below their titles, each column as wide as its widest cell.

    ``numbers`` are the titles of right-aligned columns.
    """
    cells = [[Text(title, style="dim") for title in titles]]
    cells += [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [max(row[n].cell_len for row in cells) for n in range(len(titles))]
    for row in cells:
        for title, cell, width in zip(titles, row, widths, strict=True):
            pad = cell.pad_left if title in numbers else cell.pad_right
            pad(width - cell.cell_len)
        print_line(*row, error=error)


def note(text: str) -> None:
    """Print a remark to standard error, apart from the output."""
    print_line(text, error=True)


def state(name: str) -> Text:
    """Show a state in its colour."""
    return Text(name, style=STATE_STYLES.get(name, ""))


def time(at: datetime | None) -> str:
    """Show an instant in this machine's time zone."""
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def visible(text: str) -> str:
    """Escape characters that control a terminal or reverse text; line ends stay."""
    return "".join(char if _is_harmless(char) else _written(char) for char in text)


def line_of(text: str) -> str:
    """Show a text on one line."""
    return visible(text.strip()).replace("\n", "\\n").replace("\t", "\\t")


def _is_harmless(char: str) -> bool:
    return char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _written(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def block(text: str) -> str:
    """Show a text of several lines, indented."""
    return "\n".join(f"    {line}" for line in visible(text).split("\n"))


def pretty(body: str) -> str:
    """Show a body: JSON indented with its numbers unchanged, anything else as it is."""
    try:
        return msgspec.json.format(body, indent=2)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return body
