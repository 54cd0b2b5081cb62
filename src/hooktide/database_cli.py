"""What the command line has for whoever keeps a database: audit, backup, migrate, move, sizes."""

import asyncio
import importlib
import shlex
import sys
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from hooktide.clock import wall_clock
from hooktide.demo.api import operator_api
from hooktide.domain.errors import ConfigError
from hooktide.settings import Settings, without_password
from hooktide.store.audit import NOT_CHECKED, Finding
from hooktide.store.base import ProjectSize
from hooktide.store.migrate import Migration
from hooktide.store.sqlite.audit import audit_sqlite
from hooktide.store.sqlite.backup import back_up
from hooktide.store.sqlite.migrating import migrate_sqlite, missing_in_sqlite
from hooktide.store.sqlite.sizes import sizes_in_sqlite
from hooktide.web.api.sizes import SizeOut, Sizes, shown

_DEFAULTS = Settings()


def audit(*, database: str = _DEFAULTS.database) -> None:
    """Check that in a database all holds that always has to; the server may run meanwhile.

    Prints a line for each invariant: its number (ARCHITECTURE.md), what it says, how many were
    looked at, and which break it. Exits with 1 when one is broken.

    Parameters
    ----------
    database
        The SQLite file, or postgresql://user:password@host/name. Nothing in it is changed.
    """
    settings = Settings(database=database)
    if settings.on_postgres:
        broken = asyncio.run(_audit_postgres(settings))
    else:
        broken = sum(map(_print_finding, audit_sqlite(database, wall_clock())))
    for invariant, words in NOT_CHECKED:
        print(_line(invariant, words, "not kept in a database"))
    if broken:
        print(f"{broken} of these {'is' if broken == 1 else 'are'} broken")
        sys.exit(1)


async def _audit_postgres(settings: Settings) -> int:
    findings: AsyncIterator[Finding] = _postgres("audit").audit_postgres(settings.database)
    return sum([_print_finding(finding) async for finding in findings])


def _print_finding(finding: Finding) -> bool:
    """Print a line; return whether something is broken."""
    print(_line(finding.check.invariant, finding.check.words, _told(finding)), flush=True)
    return finding.broken > 0


def _line(invariant: int, words: str, told: str) -> str:
    return f"{invariant:>2}  {words:<66}  {told}"


def _told(finding: Finding) -> str:
    if not finding.broken:
        return f"{finding.looked_at:>13,}  ok"
    more = ", ..." if finding.broken > len(finding.examples) else ""
    named = ", ".join(finding.examples)
    return f"{finding.looked_at:>13,}  {finding.broken:,} BROKEN: {named}{more}"


def backup(target: str, *, database: str = _DEFAULTS.database, key_file: str = "") -> None:
    """Copy a SQLite database to a new file; the server may run meanwhile.

    The copy is all of one instant, checked, and on the disk when this ends.

    Parameters
    ----------
    target
        The file to make.
    database
        The SQLite file.
    key_file
        The key of the secrets in it, of which this only reminds. By default the database's name
        and .key.
    """
    settings = Settings(database=database, key_file=key_file)
    if settings.on_postgres:
        raise ConfigError(_postgres_backup(target, database), key="database")
    began = time.monotonic()
    made = back_up(database, target)
    print(
        f"{target}: {made.events:,} events and {made.deliveries:,} deliveries, "
        f"{made.size / 1e6:,.1f} MB, in {time.monotonic() - began:.1f} s, checked"
    )
    print(
        f"Keep {settings.key_path} too, in another place: without it the secrets in the backup "
        "cannot be opened, and with it whoever has the backup has the secrets."
    )


def _postgres_backup(target: str, url: str) -> str:
    dump = ["pg_dump", "--format=custom", "--schema=hooktide", f"--file={target}"]
    return (
        "PostgreSQL has tools of its own for this, which work while servers run:\n"
        f"  {shlex.join([*dump, without_password(url)])}\n"
        "and pg_restore to restore; keep the key file too, in another place"
    )


def migrate(*, database: str = _DEFAULTS.database, check: bool = False) -> None:
    """Bring a database's schema up to date, as a server does when it starts.

    Parameters
    ----------
    database
        The SQLite file, or postgresql://user:password@host/name: directly, not through a pooler.
    check
        Change nothing; say which schema the database is on, and what is missing. Exits with 0
        when nothing is, 1 when something is, 2 when it is newer than this program.
    """
    settings = Settings(database=database)
    if settings.on_postgres:
        number, left = asyncio.run(_postgres("migrating").missing_in(database))
    else:
        number, left = missing_in_sqlite(database)
    print(f"schema {number}, " + (_listed(left) if left else "up to date"))
    if left and check:
        sys.exit(1)
    if left:
        _migrate(settings)
        print(f"schema {left[-1].number}, up to date")


def _migrate(settings: Settings) -> None:
    if settings.on_postgres:
        asyncio.run(_postgres("migrating").migrate(settings.database))
    else:
        migrate_sqlite(settings.database)


def _listed(left: list[Migration]) -> str:
    return "missing: " + ", ".join(f"{each.number} {each.name}" for each in left)


def sizes(
    *,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    database: str | None = None,
) -> None:
    """Show how much is kept of each project.

    Reads the whole log, which takes a while on a large database and holds nothing up.

    Parameters
    ----------
    server
        The running server to ask. [http://127.0.0.1:8080]
    key
        Its operator key. [HOOKTIDE_OPERATOR_KEY]
    database
        Instead of asking a server: its database, which it may be using. With --server it is not
        looked at.
    """
    if database is not None and server is None:
        rows = [shown(size) for size in _sizes_in(Settings(database=database))]
    else:
        rows = asyncio.run(_sizes_at(server, key))
    print(_row("project", "events", "deliveries", "attempts", "payload MB", "oldest event"))
    for row in rows:
        counts = [f"{each:,}" for each in (row.events, row.deliveries, row.attempts)]
        megabytes = f"{row.payload_bytes / 1e6:,.1f}"
        print(_row(row.project, *counts, megabytes, row.oldest_event_at or "-"))


SIZES_WITHIN = 1800.0


def _sizes_in(settings: Settings) -> list[ProjectSize]:
    if settings.on_postgres:
        return list(asyncio.run(_postgres("sizes").sizes_in_postgres(settings.database)))
    return sizes_in_sqlite(settings.database)


async def _sizes_at(server: str | None, key: str | None) -> list[SizeOut]:
    answer = await operator_api(server, key, SIZES_WITHIN).get("/v1/sizes")
    return msgspec.convert(answer, Sizes).items


def _row(project: str, *columns: str) -> str:
    *numbers, oldest = columns
    return f"{project:<24}" + "".join(f" {number:>14}" for number in numbers) + f"  {oldest}"


def _postgres(module: str) -> Any:
    """Import a module that only PostgreSQL needs.

    :raises ConfigError: its driver is not installed.
    """
    try:
        return importlib.import_module(f"hooktide.store.postgres.{module}")
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise ConfigError(
            "PostgreSQL needs asyncpg: pip install 'hooktide[postgres]'", key="database"
        ) from None


def move(to: str, *, database: str = _DEFAULTS.database) -> None:
    """Take everything from a SQLite file to an empty PostgreSQL database.

    Ids, secrets, keys, the log and what is pending stay what they are. The server has to be
    stopped; start it afterwards with --database set to the URL, and --key-file to the file that it
    had (by default the database's name and .key). The SQLite file is left as it was.

    Parameters
    ----------
    to
        The PostgreSQL database, like postgresql://user:password@host/name.
    database
        The SQLite file.
    """
    if Settings(database=database).on_postgres or not Settings(database=to).on_postgres:
        raise ConfigError("give a SQLite file and a postgresql:// URL", key="to")
    _postgres("hot")  # says what to install where the driver is missing
    moved = asyncio.run(importlib.import_module("hooktide.store.moving").move(database, to))
    for table, count in moved.items():
        print(f"{count:>13,}  {table}")
