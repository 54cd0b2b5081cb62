"""Reads files of statements: each stands under its ``-- name:`` line.

``queries.sql`` has the same names in the same order for each database, ``own.sql`` what only that
one needs.
"""

import importlib.resources
import re

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load_queries(package: str, *files: str) -> dict[str, str]:
    """Return the statements of a store's package by name, in the files' order.

    ``files``: which; by default ``queries.sql`` and ``own.sql``.
    """
    found: dict[str, str] = {}
    for file in files or ("queries.sql", "own.sql"):
        text = importlib.resources.files(package).joinpath(file).read_text("utf-8")
        _, *parts = _NAME.split(text)
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"{package} has two statements named {name}")
            found[name] = sql.strip()
    return found
