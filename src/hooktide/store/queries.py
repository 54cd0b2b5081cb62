"""Reads ``queries.sql``: each statement under its ``-- name:`` line."""

import importlib.resources
import re

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load_queries(package: str) -> dict[str, str]:
    """Return the statements of ``package``'s ``queries.sql`` by name, in the file's order."""
    text = importlib.resources.files(package).joinpath("queries.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}
