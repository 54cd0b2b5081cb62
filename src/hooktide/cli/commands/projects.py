"""``hooktide apply`` and ``hooktide providers``: project files."""

import asyncio
from typing import Annotated

from cyclopts import Parameter

from hooktide.actions.database import apply_project
from hooktide.cli.commands.database import current_user
from hooktide.cli.options import operator_client
from hooktide.dialects import all_shipped, load, read
from hooktide.runtime.settings import Settings, check_database


def apply(
    file: str,
    *,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    remove_event_types: Annotated[bool, Parameter(negative="")] = False,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    database: str | None = None,
    database_direct: str = "",
    key_file: str = "",
) -> None:
    """Create or update a project from its file, and print what changed.

    Parameters
    ----------
    file
        A project file, or the name of a shipped one (see ``hooktide providers``).
    dry_run
        Print what would change, without changing anything.
    remove_event_types
        Also remove event types missing from the file that endpoints subscribe to by name.
    server
        The running server to ask. [HOOKTIDE_SERVER, or http://127.0.0.1:8080]
    key
        Its operator key. [HOOKTIDE_OPERATOR_KEY]
    database
        The database itself, instead of its server (a SQLite file's server must not be running).
        Ignored with --server.
    database_direct
        The same, not through a pooler (see ``hooktide serve``).
    key_file
        The key that seals secrets; required with PostgreSQL.
    """
    text = read(file)
    project = load(file)
    if database is not None and server is None:
        settings = Settings(database=database, database_direct=database_direct, key_file=key_file)
        check_database(settings)
        done = asyncio.run(
            apply_project(
                settings,
                project,
                current_user(),
                remove_event_types=remove_event_types,
                dry_run=dry_run,
            )
        )
    else:
        with operator_client(server, key) as client:
            applied = client.projects.apply(
                project.name, text, remove_event_types=remove_event_types, dry_run=dry_run
            )
        done = applied.changes
    for line in done or ["nothing to change"]:
        print(f"{project.name}: {line}")
    if project.index and any(line.startswith("index:") for line in done):
        print(f"older events are indexed on request: hooktide reindex {project.name}")


def providers() -> None:
    """List the project files shipped with Hooktide, which ``apply`` accepts by name."""
    for name in all_shipped():
        print(f"{name:20} {load(name).title}")
