"""Commands that work on a database: audit, backup, migrate, move, retention.

None of them asks a server, so this imports no client of one: they start sooner without.
"""

import asyncio
import getpass
import os
import sys
import time
from collections.abc import Sequence

from hooktide.actions import database as databases
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.counting import count_of
from hooktide.domain.errors import ConfigError
from hooktide.domain.time.times import show_time
from hooktide.runtime.settings import Settings
from hooktide.store.maintenance.invariants import NOT_CHECKED, Finding
from hooktide.store.maintenance.migrate import Migration

_DEFAULTS = Settings()


def current_user() -> Actor:
    """Return the audit log's actor for this command; a container's user may have no name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"user {os.getuid()}"
    return Actor(name=name, source=Source.COMMAND_LINE)


def audit(*, database: str = _DEFAULTS.database) -> None:
    """Check a database's invariants; the server may keep running.

    Prints a line for each invariant: its number (ARCHITECTURE.md), its text, how many rows were
    checked, and which break it. "not checked": there was nothing to check, as in the first minutes
    after a project's configuration changed. Exits with 1 if an invariant is broken.

    Parameters
    ----------
    database
        The SQLite file, or postgresql://user:password@host/name. The database is not changed.
    """
    broken = asyncio.run(_print_findings(Settings(database=database)))
    for invariant, words in NOT_CHECKED:
        print(_line(invariant, words, "not kept in a database"))
    if broken:
        print(f"{broken} of these {'is' if broken == 1 else 'are'} broken")
        sys.exit(1)


async def _print_findings(settings: Settings) -> int:
    findings = databases.check_invariants(settings)
    return sum([_print_finding(finding) async for finding in findings])


def _print_finding(finding: Finding) -> bool:
    """Print a line; return whether something is broken."""
    print(_line(finding.check.invariant, finding.check.words, _told(finding)), flush=True)
    return finding.broken > 0


def _line(invariant: int, words: str, result: str) -> str:
    return f"{invariant:>2}  {words:<66}  {result}"


def _told(finding: Finding) -> str:
    if not finding.looked_at:
        return f"{0:>13}  not checked: nothing to look at yet"
    if not finding.broken:
        return f"{finding.looked_at:>13,}  ok"
    more = ", ..." if finding.broken > len(finding.examples) else ""
    named = ", ".join(finding.examples)
    return f"{finding.looked_at:>13,}  {finding.broken:,} BROKEN: {named}{more}"


def backup(target: str, *, database: str = _DEFAULTS.database, key_file: str = "") -> None:
    """Copy a SQLite database to a new file; the server may run meanwhile.

    The copy is a consistent snapshot, checked, and synced to disk when this ends.

    Parameters
    ----------
    target
        The file to make.
    database
        The SQLite file.
    key_file
        The key of the secrets in it, which is not copied. By default the database's name
        and .key.
    """
    settings = Settings(database=database, key_file=key_file)
    began = time.monotonic()
    made = databases.backup(settings, target)
    print(
        f"{target}: {count_of(made.events, 'event')} and "
        f"{count_of(made.deliveries, 'delivery')}, "
        f"{made.size / 1e6:,.1f} MB, in {time.monotonic() - began:.1f} s, checked"
    )
    print(
        f"Also keep {settings.key_path}, in another place: without it the secrets in the backup "
        "cannot be decrypted, and with it anyone who has the backup can decrypt them."
    )


def migrate(*, database: str = _DEFAULTS.database, check: bool = False) -> None:
    """Bring a database's schema up to date, as a server does when it starts.

    Parameters
    ----------
    database
        The SQLite file, which has to exist, or postgresql://user:password@host/name: directly, not
        through a pooler.
    check
        Change nothing; print the database's schema version and the missing migrations. Exits with 0
        if none are missing, 1 if some are, 2 if the schema is newer than this program.
    """
    settings = Settings(database=database)
    number, left = asyncio.run(databases.schema_of(settings))
    print(f"schema {number}, " + (_listed(left) if left else "up to date"))
    if left and check:
        sys.exit(1)
    if left:
        databases.check_exists(settings)
        asyncio.run(databases.migrate(settings))
        print(f"schema {left[-1].number}, up to date")


def _listed(left: Sequence[Migration]) -> str:
    return "missing: " + ", ".join(f"{each.number} {each.name}" for each in left)


def retention(*, accept_clock: bool = False, database: str = _DEFAULTS.database) -> None:
    """Confirm that the clock is right, so that retention resumes; servers may keep running.

    Retention pauses while the clock is more than 24 hours past the newest time in the database:
    deletions due to a wrong clock could not be undone.

    Parameters
    ----------
    accept_clock
        The clock is right. With SQLite this machine's clock, with PostgreSQL the database's.
    database
        The SQLite file, or postgresql://user:password@host/name.
    """
    if not accept_clock:
        raise ConfigError(
            "nothing to do: check the clock (date, or SELECT now() in PostgreSQL), then give "
            "--accept-clock if it is right",
            key="--accept-clock",
        )
    now = asyncio.run(databases.accept_clock(Settings(database=database), current_user()))
    print(f"accepted: it is {show_time(now)}; retention uses this clock again within a minute")


def move(to: str, *, database: str = _DEFAULTS.database) -> None:
    """Copy everything from a SQLite file to an empty PostgreSQL database.

    Ids, secrets, keys, the log and pending deliveries are kept. Stop the server first. Start
    it afterwards with --database set to the URL and --key-file set to its key file (by default the
    database's name and .key). The SQLite file is not changed.

    Parameters
    ----------
    to
        The PostgreSQL database, like postgresql://user:password@host/name.
    database
        The SQLite file.
    """
    moved = asyncio.run(databases.move(Settings(database=database), Settings(database=to)))
    for table, count in moved.items():
        print(f"{count:>13,}  {table}")
