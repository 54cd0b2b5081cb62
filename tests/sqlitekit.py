"""SQLite for the tests: a new database is a copy of one whose schema is up to date.

To bring one up to date takes a commit for each version: most of the time that a small test takes.
"""

import functools
import tempfile
from pathlib import Path

from hooktide.store.sqlite.connection.connection import open_writer


def prepare(path: str | Path) -> None:
    """Put a database there that has its schema and nothing else, unless there is a file."""
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
