"""Migrations: numbered SQL files, applied once each, in order, forward only."""

import importlib.resources
from typing import NamedTuple

from hooktide.domain.errors import ConfigError


class Migration(NamedTuple):
    """One step of the schema: its number (1, 2, ...), its name and its SQL."""

    number: int
    name: str
    sql: str


def load_migrations(package: str) -> list[Migration]:
    """Return the migrations of a store's package, first to last."""
    folder = importlib.resources.files(package).joinpath("migrations")
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [
        Migration(int(name[:4]), name[5:-4], folder.joinpath(name).read_text("utf-8"))
        for name in files
    ]


def missing(migrations: list[Migration], applied: int) -> list[Migration]:
    """Return the pending migrations of a database whose last one was number ``applied``.

    :raises ConfigError: the database was made by a newer Hooktide.
    """
    newest = migrations[-1].number
    if applied > newest:
        raise ConfigError(
            f"the database has schema {applied}, this Hooktide knows up to {newest}; "
            "start the newer Hooktide that made it, or restore a backup",
            key="database",
        )
    return [migration for migration in migrations if migration.number > applied]
