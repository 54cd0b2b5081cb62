"""Reads files of statements: each stands under its ``-- name:`` line.

A statement for both databases is written once, in the file of its noun, next to the noun's module.
The others are in each database's ``queries.sql``, under the same names in the same order. Its
``own.sql`` has what only its own modules use, and its ``invariants.sql`` the checks of
``store.maintenance.invariants``.

Common statements use PostgreSQL's syntax: ``{schema}`` before each table, ``::type`` where a value
needs one, ``= ANY(:name::type[])`` for arrays, ``FOR UPDATE`` where a row is locked. Each database
translates them once (``Dialect``), when it is opened.
"""

import importlib.resources
import re
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from typing import TypeAlias

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)

DATABASES = {"postgres", "sqlite"}

Dialect: TypeAlias = Callable[[str], str]
"""Translates a statement from a file into a database's SQL."""


def load_statements(package: str, dialect: Dialect) -> dict[str, str]:
    """Return the statements of a database's package by name: the common ones, then its own."""
    own = importlib.resources.files(package)
    found: dict[str, str] = {}
    for file in [*_common_files(), own / "queries.sql", own / "own.sql"]:
        for name, sql in _statements(file):
            if name in found:
                raise ValueError(f"there are two statements named {name}")
            found[name] = dialect(sql)
    return found


def _common_files() -> Iterator[Traversable]:
    store = importlib.resources.files("hooktide.store")
    for folder in [store, *(entry for entry in store.iterdir() if entry.is_dir())]:
        if folder.name not in DATABASES:
            yield from (file for file in folder.iterdir() if file.name.endswith(".sql"))


def load_queries(package: str, file: str, dialect: Dialect = str) -> dict[str, str]:
    """Return the statements of one of a package's files by name, in its order."""
    found = _statements(importlib.resources.files(package) / file)
    return {name: dialect(sql) for name, sql in found}


def _statements(file: Traversable) -> Iterator[tuple[str, str]]:
    _, *parts = _NAME.split(file.read_text("utf-8"))
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        yield name, sql.strip()
