"""Translates the common statements to SQLite, which has no schemas and needs no row locks."""

import functools
import re
from collections.abc import Mapping

from hooktide.store.sql.queries import load_statements

PACKAGE = "hooktide.store.sqlite"
"""Where its migrations are, and its files of statements."""
_PLAIN = {"{schema}": "", ' COLLATE "C"': "", "greatest(": "max("}
"""``max`` is NULL where one of its values is; in common statements none of ``greatest`` is."""
_CAST = re.compile(r"::\w+(\[\])?")
_ANY = re.compile(r"= ANY\(:(\w+)\)")
_LOCK = re.compile(r"\s+FOR (NO KEY UPDATE|KEY SHARE|UPDATE|SHARE)( SKIP LOCKED)?\b")


@functools.lru_cache(maxsize=1024)
def to_sqlite(sql: str) -> str:
    """Return a statement in SQLite's syntax; arrays become JSON texts."""
    for ours, its in _PLAIN.items():
        sql = sql.replace(ours, its)
    sql = _CAST.sub("", sql)
    return _LOCK.sub("", _ANY.sub(r"IN (SELECT value FROM json_each(:\1))", sql))


@functools.cache
def statements() -> Mapping[str, str]:
    """Return every statement by its name."""
    return load_statements(PACKAGE, to_sqlite)
