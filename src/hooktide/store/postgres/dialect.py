"""From the statements in the files to PostgreSQL's: the one place that knows the schema's name."""

import functools
from collections.abc import Mapping

from hooktide.store.sql.queries import load_statements

SCHEMA = "hooktide"


def to_postgres(sql: str) -> str:
    """Return a statement as PostgreSQL takes it, once its values are numbered."""
    return sql.replace("{schema}", f"{SCHEMA}.").replace("{schema_name}", SCHEMA)


@functools.cache
def statements() -> Mapping[str, str]:
    """Return every statement by its name."""
    return load_statements(__package__, to_postgres)
