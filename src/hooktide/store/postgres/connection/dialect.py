"""Translates the statements in the files to PostgreSQL: the only place that knows the schema's
name."""

import functools
from collections.abc import Mapping

from hooktide.store.sql.queries import load_statements

PACKAGE = "hooktide.store.postgres"
"""Where its migrations are, and its files of statements."""
SCHEMA = "hooktide"


def to_postgres(sql: str) -> str:
    """Return a statement in PostgreSQL's syntax, before its values are numbered."""
    return sql.replace("{schema}", f"{SCHEMA}.").replace("{schema_name}", SCHEMA)


@functools.cache
def statements() -> Mapping[str, str]:
    """Return every statement by its name."""
    return load_statements(PACKAGE, to_postgres)
