"""What the demo shows: progress while it runs, a table at its end, and where to look next."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Line:
    """One delivery: of which event, to which endpoint, and what became of it.

    ``ms`` runs from the event's acceptance to the end of the last attempt.
    """

    provider: str
    event: str
    endpoint: str
    verified: bool
    attempts: int
    ms: float | None

    @property
    def kept(self) -> bool:
        """Whether it arrived and the receiver could verify it."""
        return self.verified and self.ms is not None


@dataclass(frozen=True, slots=True)
class Promise:
    """Something the demo shows besides deliveries: what, whether it held, and the proof."""

    text: str
    kept: bool
    proof: str


class Screen:
    """Writes to the terminal; plain text elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something is going on."""
        with self._console.status(escape(text)):
            yield

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(escape(text), soft_wrap=True)

    def promise(self, promise: Promise) -> None:
        """Print whether a promise was kept, and its proof."""
        mark = "[green]✓[/]" if promise.kept else "[bold red]✗[/]"
        self._console.print(f"  {mark} {escape(promise.text)}", soft_wrap=True)
        if promise.proof:
            self._console.print(f"      [dim]{escape(promise.proof)}[/]", soft_wrap=True)

    def table(self, lines: Sequence[Line]) -> None:
        """Print every delivery, each provider's together."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 0))
        for name in ("provider", "event", "endpoint", "verified"):
            table.add_column(name, no_wrap=True)
        table.add_column("attempts", justify="right")
        table.add_column("ms", justify="right")
        for provider, group in groupby(lines, key=lambda line: line.provider):
            for number, line in enumerate(group):
                table.add_row("" if number else escape(provider), *_cells(line))
            table.add_section()
        self._console.print()
        self._console.print(table)

    def verdict(self, kept: int, broken: int) -> None:
        """Print how it went."""
        if broken:
            self.say(f"{broken} of {kept + broken} were not as promised.")
        else:
            self.say(f"All {kept} as promised: every delivery verified, every promise kept.")


def _cells(line: Line) -> tuple[str, ...]:
    return (
        escape(line.event),
        escape(line.endpoint),
        "[green]yes[/]" if line.verified else "[bold red]no[/]",
        str(line.attempts),
        "[bold red]-[/]" if line.ms is None else f"{line.ms:,.0f}",
    )
