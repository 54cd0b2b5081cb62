"""``hooktide storage-usage``: how much each project keeps, as a server or its database says."""

import asyncio
from datetime import datetime
from typing import Annotated

from cyclopts import Parameter

from hooktide.actions.database import storage_usage_in
from hooktide.cli.options import operator_client
from hooktide.cli.output import print_rows
from hooktide.domain.model import Micros
from hooktide.domain.time.times import show_time
from hooktide.runtime.settings import Settings
from hooktide.store.base import ProjectUsage
from hooktide.wire.projects import StorageUsage


def storage_usage(
    *,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    database: str | None = None,
) -> None:
    """Show how much each project stores.

    Reads the whole log. On a large database this takes a while, but blocks nothing.

    Parameters
    ----------
    server
        The running server to ask. [HOOKTIDE_SERVER, or http://127.0.0.1:8080]
    key
        Its operator key. [HOOKTIDE_OPERATOR_KEY]
    database
        Instead of asking a server: its database, which it may be using. Ignored with --server.
    """
    if database is not None and server is None:
        found = asyncio.run(storage_usage_in(Settings(database=database)))
        rows = [_usage_row(each.name, each, _shown(each.oldest_at)) for each in found]
    else:
        with operator_client(server, key, timeout=STORAGE_USAGE_TIMEOUT) as client:
            asked = client.storage_usage()
        rows = [_usage_row(each.project, each, _shown(each.oldest_event_at)) for each in asked]
    print_rows(USAGE_TITLES, rows, numbers=USAGE_TITLES[1:-1])


STORAGE_USAGE_TIMEOUT = 1800.0
USAGE_TITLES = ("project", "events", "deliveries", "attempts", "payload MB", "oldest event")


def _usage_row(project: str, usage: ProjectUsage | StorageUsage, oldest: str) -> tuple[str, ...]:
    counts = (f"{each:,}" for each in (usage.events, usage.deliveries, usage.attempts))
    return (project, *counts, f"{usage.payload_bytes / 1e6:,.1f}", oldest)


def _shown(at: Micros | datetime | None) -> str:
    """Return an instant as the store or an answer has it, which may be missing."""
    if at is None:
        return "-"
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(at, datetime) else show_time(at)
