"""Databases of earlier schemas, kept in ``data/``, which later releases have to upgrade.

Before you add a migration, save a released schema with ``python tests/samples.py``.
"""

import asyncio
import gzip
import subprocess
import tempfile
from pathlib import Path

import asyncpg
from livedkit import live
from postgreskit import binaries, database
from releases import known
from storekit import Place

DATA = Path(__file__).parent / "data"
DUMP = ("--inserts", "--schema=hooktide", "--no-owner", "--no-comments")


def kept(kind: str) -> list[int]:
    """Return the schema versions that have samples, for ``sqlite`` or ``postgres``."""
    return sorted(
        int(path.name.partition(".")[0].removeprefix("schema"))
        for path in DATA.glob(f"schema*.{kind}.gz")
    )


async def take_over(place: Place, schema: int) -> None:
    """Load a sample into a database. A PostgreSQL database has to be empty."""
    if place.is_file:
        Path(place.url).write_bytes(gzip.decompress(_path("sqlite", schema).read_bytes()))
        return
    connection = await asyncpg.connect(place.url)
    await connection.execute(gzip.decompress(_path("postgres", schema).read_bytes()).decode())
    await connection.close()


def _path(kind: str, schema: int) -> Path:
    return DATA / f"schema{schema}.{kind}.gz"


async def keep() -> None:
    """Create samples of this release's schemas with every kind of delivery."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(f"{folder}/lived.db")
        await _live(place)
        _keep("sqlite", Path(place.url).read_bytes())
    async with database() as url:
        await _live(Place(url))
        command = [str(binaries() / "pg_dump"), *DUMP, url]
        made = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    # psql's meta-commands, and lines that name the machine, are removed.
    lines = [line for line in made.splitlines() if line and not line.startswith(("--", "\\"))]
    _keep("postgres", "\n".join(lines).encode())


async def _live(place: Place) -> None:
    store = await place.open()
    await live(store)
    await store.close()


def _keep(kind: str, content: bytes) -> None:
    _path(kind, len(known(kind))).write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    asyncio.run(keep())
