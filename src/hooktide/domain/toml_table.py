"""A strict TOML reader: every key must be known, every value is checked, every error has its
line."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Micros
from hooktide.domain.phrase import phrase
from hooktide.domain.time.spans import read_delay, read_span, show_span

Choice = TypeVar("Choice", bound=StrEnum)
Value = TypeVar("Value")


MAX_PROBLEMS = 50


class Problems:
    """The problems of a file: one per key, ``MAX_PROBLEMS`` at most."""

    def __init__(self) -> None:
        self._found: dict[str, ConfigError] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def full(self) -> bool:
        """Whether no more problems are noted."""
        return len(self._found) >= MAX_PROBLEMS

    def add(self, error: ConfigError) -> None:
        """Note a problem, the first of its key."""
        if not self.full:
            self._found.setdefault(error.key, error)

    def attempt(self, read: Callable[[], Value], instead: Value) -> Value:
        """Return the value read; on an error, note it and return ``instead``."""
        try:
            return read()
        except ConfigError as error:
            self.add(error)
            return instead

    def error(self, text: str, file: str) -> ConfigError:
        """Return all of them as one error, in the order of the file's lines."""
        lines = Lines(text)
        placed = [
            (lines.of(each.key) if each.line is None else each.line, each)
            for each in self._found.values()
        ]
        placed.sort(key=lambda pair: pair[0])
        first, *others = [
            ConfigError(each.reason, key=each.key, line=line, file=file) for line, each in placed
        ]
        return ConfigError(
            first.reason, key=first.key, line=first.line, file=file, others=tuple(others)
        )


class Table:
    """A table being read. Each reader takes a key; ``done`` reports unknown keys.

    Errors of a key are added to ``problems``, and reading continues with the default.
    """

    def __init__(
        self, values: Mapping[str, Any], path: str = "", problems: "Problems | None" = None
    ) -> None:
        self.path = path
        self.problems = Problems() if problems is None else problems
        self._values = values
        self._taken: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def wrong(self, key: str, reason: str) -> ConfigError:
        """Make the error for a key of this table (empty: the table itself)."""
        return ConfigError(reason, key=self._key(key) if key else self.path)

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string; it is required if there is no default."""
        found: str = self._read(key, str, "a string", default)
        return found

    def flag(self, key: str, default: bool) -> bool:
        """Read true or false."""
        found: bool = self._read(key, bool, "true or false", default)
        return found

    def count(self, key: str, default: int, lowest: int, highest: int) -> int:
        """Read a whole number between bounds."""
        found: int = self._read(key, int, "a whole number", default)
        self._check_within(key, found, lowest, highest)
        return found

    def limit(self, key: str, highest: int = 10**9) -> int | None:
        """Read a limit of one or more; None where none is set."""
        self._taken.add(key)
        return self.count(key, 1, 1, highest) if key in self else None

    def number(self, key: str, default: float, lowest: float, highest: float) -> float:
        """Read a number between bounds."""
        found = float(self._read(key, (int, float), "a number", default))
        self._check_within(key, found, lowest, highest)
        return found

    def span(self, key: str, default: Micros, lowest: Micros, highest: Micros) -> Micros:
        """Read a span like ``10s`` between bounds."""
        self._taken.add(key)
        if key not in self:
            return default
        return self._span(key, self.text(key), read_span, lowest, highest)

    def spans(self, key: str, lowest: Micros, highest: Micros) -> tuple[Micros, ...]:
        """Read a list of spans; empty if absent."""
        return tuple(self._span(key, text, read_delay, lowest, highest) for text in self.texts(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings; empty if absent."""
        found = self._read(key, list, "a list", [])
        if not all(isinstance(item, str) for item in found):
            self._refuse(key, "expected a list of strings")
            return ()
        return tuple(found)

    def choice(self, key: str, kind: type[Choice], default: Choice) -> Choice:
        """Read one of a few words."""
        text = self.text(key, default)
        try:
            return kind(text)
        except ValueError:
            self._refuse(key, f"{_shown(text)} is not one of {', '.join(kind)}")
            return default

    def table(self, key: str) -> "Table":
        """Read a table; empty if absent."""
        return Table(self._read(key, dict, "a table", {}), self._key(key), self.problems)

    def tables(self, key: str) -> "Iterator[tuple[str, Table]]":
        """Read a table of tables, in the file's order."""
        outer = self.table(key)
        for name in outer._values:
            yield name, outer.table(name)

    def first_table(self, but: Iterable[str]) -> str:
        """Return the key of the first table within this one except these; empty if there is
        none."""
        keys = (key for key, value in self._values.items() if isinstance(value, dict))
        return next((key for key in keys if key not in but), "")

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Read a table of strings, in the file's order."""
        inner = self.table(key)
        return tuple((name, inner.text(name)) for name in inner._values)

    def anything(self, key: str) -> Any:
        """Read a value of any kind; None if absent."""
        self._taken.add(key)
        return self._values.get(key)

    def done(self) -> None:
        """Refuse unknown keys.

        The problem names the nearest known key, or the table to which the key belongs.
        """
        for key in self._values:
            if self.problems.full:
                return
            if key not in self._taken:
                self._refuse(key, "there is no such key" + self._hint(key))

    def _hint(self, key: str) -> str:
        place = _PLACES.get(key)
        if place is not None and place.partition(".")[0].strip("[]") != self.path.partition(".")[0]:
            return f"; it belongs in {place}"
        return nearest(key, self._taken)

    def _refuse(self, key: str, reason: str) -> None:
        self.problems.add(self.wrong(key, reason))

    def _read(self, key: str, kind: Any, expected: str, default: Any) -> Any:
        self._taken.add(key)
        found = self._values.get(key, default)
        if found is None:
            near = difflib.get_close_matches(key, self._values.keys() - self._taken, n=1)
            meant = f"; is {near[0]!r} meant for it?" if near else ""
            self._refuse(key, f"missing; give {expected}{meant}")
            return kind()
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            self._refuse(key, f"expected {expected}, found {_shown(found)}")
            return kind() if default is None else default
        return found

    def _check_within(self, key: str, found: float, lowest: float, highest: float) -> None:
        if not lowest <= found <= highest:
            self._refuse(key, f"{found} is not between {lowest} and {highest}")

    def _span(
        self,
        key: str,
        text: str,
        read: Callable[[str], Micros | None],
        lowest: Micros,
        highest: Micros,
    ) -> Micros:
        found = read(text)
        if found is None:
            self._refuse(key, f"{_shown(text)} is not a duration; write it like 10s, 5m, 2h or 30d")
            return lowest
        if not lowest <= found <= highest:
            self._refuse(key, f"{text} is not between {show_span(lowest)} and {show_span(highest)}")
        return found

    def _key(self, key: str) -> str:
        shown = key if _BARE.fullmatch(key) else '"' + key.replace('"', '\\"') + '"'
        return f"{self.path}.{shown}" if self.path else shown


_PLACES = {
    key: place
    for place, keys in {
        "[plans.NAME]": "endpoints deliveries_per_hour retries timeout changes_per_second "
        "tests_per_second filter_conditions channels metadata_bytes rate_limit endpoint_rate_limit "
        "max_timeout",
        "[retry]": "first factor max delays",
        "[dialect]": "standard_headers header_prefix user_agent envelope",
        "[dialect.signature]": "header algorithm encoding content value timestamp_header",
        '[event_types."NAME"]': "description example schema transition message retry_delays "
        "retention_days",
        "[portal]": "logo colour origins support",
        "the top of the file": "mode schema_policy disable_after rotation_overlap retention index",
    }.items()
    for key in keys.split()
}
"""The table to which a misplaced key belongs."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` where a known word is near, else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return phrase("; did you mean {word}?", word=repr(found[0])) if found else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def read_toml(text: str) -> Table:
    """Read a file's text as a table.

    :raises ConfigError: it is not TOML; with the line.
    """
    if deep := _DEEP_KEY.search(text):
        raise ConfigError("this key is too deep", line=text.count("\n", 0, deep.start()) + 1)
    try:
        text.encode()  # TOML is UTF-8, which cannot encode a lone surrogate
        return Table(tomllib.loads(text))
    except ValueError as error:  # TOMLDecodeError, and int()'s refusal of thousands of digits
        reason, _, place = str(error).partition(" (at ")
        line = _AT_LINE.match(place)
        last = text.count("\n") + 1
        raise ConfigError(f"not TOML: {reason}", line=int(line[1]) if line else last) from None


class Lines:
    """The line numbers of the keys of a file."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        self._begin: dict[str, int] = {}
        for number, key in _keys(text):
            self._lines.setdefault(key, number)
            for end in _ENDS.finditer(key):
                self._begin.setdefault(key[: end.start()], number)

    def of(self, key: str) -> int:
        """Find the line of a key, of something in its table, or of the nearest enclosing table."""
        while key:
            if line := self._lines.get(key) or self._begin.get(key):
                return line
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return 1


def _keys(text: str) -> Iterator[tuple[int, str]]:
    """Yield each key written in the text with its line, in one dotted form."""
    table, closing = "", ""
    for number, line in enumerate(text.split("\n"), 1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := _HEADER.match(line):
            table = _dotted(header[1])
            yield number, table
        elif pair := _PAIR.match(line):
            name = _dotted(pair[1])
            yield number, f"{table}.{name}" if table else name
            closing = _opens(line[pair.end() :])


def _opens(value: str) -> str:
    """Return the quotes of a multi-line string that begins here and ends further down."""
    value = value.lstrip()
    for quotes in ("'''", '"""'):
        if value.startswith(quotes) and quotes not in value[3:]:
            return quotes
    return ""


def _dotted(written: str) -> str:
    return ".".join(
        word[0] if word[0][0] not in "\"'" or not _BARE.fullmatch(word[0][1:-1]) else word[0][1:-1]
        for word in _WORD.finditer(written.replace("'", '"'))
    )


# Parsing a dotted key takes quadratic time.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){33}""")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WORD = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"')
_WRITTEN_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_WRITTEN_KEYS = rf"({_WRITTEN_KEY}(?:\s*\.\s*{_WRITTEN_KEY})*)"
_HEADER = re.compile(rf"\s*\[\[?\s*{_WRITTEN_KEYS}\s*\]\]?\s*(?:#.*)?$")
_PAIR = re.compile(rf"\s*{_WRITTEN_KEYS}\s*=")
_ENDS = re.compile(r"\.")
_AT_LINE = re.compile(r"line (\d+)")
