"""The values of a payload that a project indexes, and the terms that find them.

A value is found by the whole of it, by its beginning, and by the beginning of a word in it: its
terms are its normal form, and what is left of that from each word on. So every search is for the
beginning of a term. ``docs/search.md`` has the rules.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from unicodedata import category, normalize

from hooktide.domain.errors import ConfigError
from hooktide.domain.json.members import reader_of_members
from hooktide.domain.messages.message import clean, clip

MAX_PATHS = 3
MAX_PATH_LENGTH = 128
MAX_STEPS = 10
MAX_LENGTH = 200
"""Characters of a value's normal form; a longer value is found by its first ones."""
MAX_READ = 2_000
"""Characters of a value that are read: normal forms may be shorter than what they are of."""
MAX_WORDS = 16
"""Words of a value that it is found by."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a payload has at one of the paths.

    ``place`` is the path's place among them, ``shown`` the value for people, on one line.
    """

    place: int
    shown: str
    terms: tuple[str, ...]


class Index:
    """Reads the values at some paths (``check_path``) of payloads."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [path.split(".") for path in paths]
        self._read = reader_of_members(frozenset(path[0] for path in self._paths), str, _read_all)

    def values(self, payload: bytes) -> list[Value]:
        """Return what an accepted payload has at the paths, in their order.

        Strings, numbers as they are written, ``true`` and ``false``; nothing else, and nothing
        whose normal form is empty. Of a member that is given twice, the last counts.
        """
        return list(self._values(payload))

    def _values(self, payload: bytes) -> Iterator[Value]:
        read = self._read(payload)
        for place, path in enumerate(self._paths):
            text = _text(_at(read, path))[:MAX_READ]
            if terms := terms_of(normal_form(text)):
                yield Value(place, clip(clean(text), MAX_LENGTH), terms)


@lru_cache(maxsize=256)
def index_of(paths: tuple[str, ...]) -> Index:
    """Return the index of some paths; it is made once."""
    return Index(paths)


def title_of(paths: tuple[str, ...], payload: bytes) -> str:
    """Name an event after its values at some paths; empty if it has none."""
    return title([value.shown for value in index_of(paths).values(payload)]) if paths else ""


def title(shown: Sequence[str]) -> str:
    """Name an event after the values that are shown of it."""
    return " · ".join(text for text in shown if text)


def normal_form(text: str) -> str:
    """Return what texts that are to be found by one another have in common.

    Unicode's compatibility caseless form (NFKC, case folded), without invisible characters, white
    space made single spaces, cut after ``MAX_LENGTH`` characters.
    """
    if not text.isascii():
        text = "".join(char for char in text if category(char) not in _INVISIBLE)
        text = normalize("NFKC", normalize("NFD", text).casefold())
    text = normalize("NFKC", text.casefold())
    return " ".join(_CONTROL.sub(" ", text).split())[:MAX_LENGTH].rstrip()


_INVISIBLE = {"Cf", "Cs"}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def terms_of(normal: str) -> tuple[str, ...]:
    """Return the terms of a normal form: itself, and the rest of it from each word on."""
    if not normal:
        return ()
    starts = [0, *(at for at in _word_starts(normal) if at)]
    return tuple(dict.fromkeys(normal[at:] for at in starts[:MAX_WORDS]))


def _word_starts(normal: str) -> Iterator[int]:
    """Yield where words begin: runs of letters and digits, with their combining marks."""
    if normal.isascii():
        yield from (found.start() for found in _ASCII_WORD.finditer(normal))
        return
    inside = False
    for at, char in enumerate(normal):
        if char.isalnum():
            if not inside:
                yield at
            inside = True
        elif not category(char).startswith("M"):
            inside = False


_ASCII_WORD = re.compile("[0-9a-z]+")


def _text(value: Any) -> str:
    """Write a scalar as in JSON, a string without its quotes; empty for other values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else ""


def _at(payload: Any, path: Sequence[str]) -> Any:
    for step in path:
        if not isinstance(payload, dict):
            return None
        payload = payload.get(step)
    return payload


def _read_all(payload: bytes) -> Any:
    return json.loads(payload, parse_int=str, parse_float=str)


def check_paths(paths: Sequence[str]) -> None:
    """Check the paths that a project names.

    :raises ConfigError: they cannot be used; says what would be right.
    """
    if len(paths) > MAX_PATHS:
        raise ConfigError(f"{len(paths)} paths; {MAX_PATHS} at most")
    for place, path in enumerate(paths):
        _check_path(path)
        if path in paths[:place]:
            raise ConfigError(f"{path!r} is named twice")


def _check_path(path: str) -> None:
    shown = repr(path[:MAX_PATH_LENGTH])
    steps = path.split(".")
    if len(path) > MAX_PATH_LENGTH or len(steps) > MAX_STEPS:
        raise ConfigError(
            f"{shown} is too long: {MAX_PATH_LENGTH} characters and {MAX_STEPS} members at most"
        )
    if steps[0] == "$":
        raise ConfigError(f"{shown}: leave out the '$.'; a path begins in the payload")
    if "/" in path or "[" in path or "*" in path:
        raise ConfigError(
            f"{shown}: name members of objects, with dots between them, like 'invoice.number'; "
            "elements of arrays are not indexed"
        )
    if not all(steps) or not path.isprintable() or path != path.strip():
        raise ConfigError(f"{shown} is not a path; write one like 'invoice.number'")


def check_indexable(paths: Sequence[str], examples: Sequence[str]) -> None:
    """Check paths against examples of payloads (JSON texts).

    :raises ConfigError: where there is something at a path, it is always an object or an array.
    """
    read = [json.loads(example) for example in examples]
    for path in paths:
        found = [_at(each, path.split(".")) for each in read]
        there = [value for value in found if value is not None]
        if there and all(isinstance(value, dict | list) for value in there):
            kind, inner = _inside(path, there[0])
            raise ConfigError(f"{path!r} is {kind} in the examples; name {inner}")


def _inside(path: str, value: Any) -> tuple[str, str]:
    if isinstance(value, list):
        return "an array", "a string or a number"
    names = [name for name, inner in value.items() if not isinstance(inner, dict | list)]
    if not names:
        return "an object", "a string or a number"
    return "an object", f"a member of it, like '{path}.{names[0]}'"
