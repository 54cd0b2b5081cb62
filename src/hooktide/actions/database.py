"""Operations on a whole database of either kind, mostly from outside its servers.

The PostgreSQL modules are imported when needed: their driver is optional.
"""

import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hooktide.actions.projects import Projects
from hooktide.domain.audit_log import Action, Actor
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Micros, Scope
from hooktide.domain.project.project import Project, changes
from hooktide.domain.time.times import show_time
from hooktide.runtime.clock import wall_clock
from hooktide.runtime.extras import import_postgres
from hooktide.runtime.settings import Settings, without_password
from hooktide.runtime.vault import Vault, load_vault
from hooktide.store.base import ProjectUsage
from hooktide.store.contract import Store
from hooktide.store.maintenance.invariants import Finding
from hooktide.store.maintenance.migrate import Migration
from hooktide.store.maintenance.sealed import SealedRows
from hooktide.store.sqlite import open_sqlite
from hooktide.store.sqlite.maintenance.accept_clock import accept_clock_in_sqlite
from hooktide.store.sqlite.maintenance.backup import Copied, back_up
from hooktide.store.sqlite.maintenance.invariants import audit_sqlite
from hooktide.store.sqlite.maintenance.migrating import migrate_sqlite, missing_in_sqlite
from hooktide.store.sqlite.maintenance.sealed import SqliteSealedRows
from hooktide.store.sqlite.maintenance.storage_usage import storage_usage_in_sqlite


async def open_store(settings: Settings, vault: Vault) -> Store:
    """Open the database that the settings name, and migrate its schema.

    :raises ConfigError: it cannot be used, or its driver is not installed.
    :raises UnavailableError: it did not answer.
    """
    record_delay = settings.record_within / 1000
    if not settings.on_postgres:
        max_wal = settings.max_wal << 20
        return open_sqlite(settings.database, vault, wall_clock(), max_wal, record_delay)
    postgres = import_postgres("hooktide.store.postgres", "--database")
    store: Store = await postgres.open_postgres(
        settings.database,
        vault,
        direct=settings.database_direct,
        connections=settings.database_connections,
        record_delay=record_delay,
    )
    return store


async def apply_project(
    settings: Settings, project: Project, actor: Actor, *, remove_event_types: bool, dry_run: bool
) -> list[str]:
    """Apply a project file to a database; return what changed.

    A dry run changes nothing: it creates no database and migrates no schema.

    :raises ConfigError: a dry run would have to; otherwise as ``open_store``.
    :raises RefusedError: as ``Projects.put``.
    """
    if dry_run:
        number, missing = await schema_of(settings)
        if not number:
            return changes(None, project)
        if missing:
            raise ConfigError(
                "the schema is older than this program, and a dry run does not migrate it: run "
                "hooktide migrate first",
                key="database",
            )
    store = await open_store(settings, load_vault(settings.key_path))
    try:
        applied = await Projects(store, store.clock).put(
            actor, Scope(), project, remove_event_types=remove_event_types, dry_run=dry_run
        )
        return applied.changes
    finally:
        await store.close()


async def check_invariants(settings: Settings) -> AsyncIterator[Finding]:
    """Check each invariant in order and yield the findings; nothing is changed.

    :raises ConfigError: it is not a Hooktide database, or has another schema version.
    """
    if not settings.on_postgres:
        for finding in audit_sqlite(settings.database, wall_clock()):
            yield finding
        return
    async for finding in _postgres("invariants").audit_postgres(settings.database):
        yield finding


async def schema_of(settings: Settings) -> tuple[int, list[Migration]]:
    """Return a database's schema version (0: none yet), and the pending migrations.

    :raises ConfigError: the database was made by a newer Hooktide, or is not a database.
    """
    if not settings.on_postgres:
        return missing_in_sqlite(settings.database)
    url = settings.database_direct or settings.database
    found: tuple[int, list[Migration]] = await _postgres("migrating").missing_in(url)
    return found


def check_exists(settings: Settings) -> None:
    """Check that a SQLite database exists: only a server creates one.

    :raises ConfigError: there is no such file.
    """
    if not settings.on_postgres and not Path(settings.database).exists():
        raise ConfigError(
            f"the file {settings.database} does not exist; hooktide serve creates a new database "
            "when it "
            "starts",
            key="database",
        )


async def migrate(settings: Settings) -> None:
    """Migrate a database's schema to the current version."""
    if settings.on_postgres:
        await _postgres("migrating").migrate(settings.database)
    else:
        migrate_sqlite(settings.database)


async def storage_usage_in(settings: Settings) -> Sequence[ProjectUsage]:
    """Return the storage that each project uses in a database."""
    if not settings.on_postgres:
        return storage_usage_in_sqlite(settings.database)
    found: Sequence[ProjectUsage] = await _postgres("storage_usage").storage_usage_in_postgres(
        settings.database
    )
    return found


async def accept_clock(settings: Settings, actor: Actor) -> Micros:
    """Confirm the clock for retention; return its time: PostgreSQL's own, otherwise this
    machine's."""

    def accepted(now: Micros) -> Action:
        return actor.does("clock.accept", detail=f"it is {show_time(now)}")

    if settings.on_postgres:
        module = _postgres("accept_clock")
        shown: Micros = await module.accept_clock_in_postgres(settings.database, accepted)
        return shown
    now = wall_clock()
    accept_clock_in_sqlite(settings.database, now, accepted(now))
    return now


async def move(source: Settings, target: Settings) -> Mapping[str, int]:
    """Copy everything from a SQLite file to an empty PostgreSQL database; return rows by table.

    :raises ConfigError: the databases are not of these kinds, or the target is not empty.
    """
    if source.on_postgres or not target.on_postgres:
        raise ConfigError("give a SQLite file and a postgresql:// URL", key="to")
    copying = import_postgres("hooktide.store.copy_to_postgres", "database")
    moved: Mapping[str, int] = await copying.copy_installation(source.database, target.database)
    return moved


def backup(settings: Settings, target: str) -> Copied:
    """Copy a SQLite database to a new file, also while its server runs.

    :raises ConfigError: it is a PostgreSQL database (the error explains how to copy it), or as
    ``back_up``.
    """
    if settings.on_postgres:
        dump = ["pg_dump", "--format=custom", "--schema=hooktide", f"--file={target}"]
        raise ConfigError(
            "use PostgreSQL's own tools, which work while servers run:\n"
            f"  {shlex.join([*dump, without_password(settings.database)])}\n"
            "and pg_restore to restore; also keep a copy of the key file, in another place",
            key="database",
        )
    return back_up(settings.database, target)


@asynccontextmanager
async def sealed_rows(settings: Settings) -> AsyncIterator[SealedRows]:
    """Open the sealed values of a database."""
    if settings.on_postgres:
        rows: SealedRows = _postgres("sealed").PostgresSealedRows(settings.database)
    else:
        rows = SqliteSealedRows(settings.database)
    try:
        yield rows
    finally:
        await rows.close()


def _postgres(module: str) -> Any:
    """Import a module of the PostgreSQL store.

    :raises ConfigError: its driver is not installed.
    """
    return import_postgres(f"hooktide.store.postgres.maintenance.{module}", "database")
