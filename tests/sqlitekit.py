"""SQLite for the tests: a new database is a copy of one with the current schema.

Migrating takes a commit per version, which is most of a small test's time.
"""

import functools
import tempfile
from pathlib import Path

from hooktide.store.sqlite.connection.connection import open_writer


def prepare(path: str | Path) -> None:
    """Create a database with the schema and no data, unless the file exists."""
    file = Path(path)
    if not file.exists():
        file.touch(0o600)
        file.write_bytes(_new())


@functools.cache
def _new() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/new.db"
        open_writer(path).close()
        return Path(path).read_bytes()
