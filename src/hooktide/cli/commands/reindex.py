"""``hooktide reindex``: index a project's older events for search."""

import time
from typing import Annotated

from cyclopts import Parameter

from hooktide.cli.options import Flag, operator_client
from hooktide.cli.output import print_json, print_line
from hooktide.cli.output import time as shown_time
from hooktide.client import Client
from hooktide.domain.counting import count_of
from hooktide.wire.projects import SearchIndex

POLL_INTERVAL = 1.0


def reindex(
    project: str,
    *,
    wait: Flag = False,
    json: Flag = False,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
) -> None:
    """Index a project's older events by the paths that its file names now, for search.

    New events are indexed by themselves. It runs in the server, goes on after a restart, and
    indexes nothing twice. Without paths (``index = []``) it removes what was indexed.

    Parameters
    ----------
    project
        The project's name.
    wait
        Follow the progress until it is done.
    json
        Print JSON instead, one value per line.
    server
        The running server to ask. [HOOKTIDE_SERVER, or http://127.0.0.1:8080]
    key
        Its operator key, or the project's. [HOOKTIDE_OPERATOR_KEY]
    """
    with operator_client(server, key) as client:
        _follow(client, client.projects.reindex(project), json, wait)


def _follow(client: Client, found: SearchIndex, as_json: bool, wait: bool) -> None:
    _print(found, as_json)
    while wait and found.state == "filling":
        time.sleep(POLL_INTERVAL)
        before, found = found, client.projects.index(found.project)
        if found != before:
            _print(found, as_json)


def _print(found: SearchIndex, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    since = found.complete_since
    whole = "complete" if since is None else f"complete since {shown_time(since)}"
    done = f"{count_of(found.events, 'event')} indexed"
    print_line(found.project, ", ".join(found.paths) or "no paths", done, whole)
