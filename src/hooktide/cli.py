"""The command line: ``hooktide serve``, ``apply``, ``providers``, ``demo``, ``completions``.

What whoever sends and receives webhooks uses is in ``commands``.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.config import Env

from hooktide import __version__
from hooktide.app import open_store
from hooktide.commands import COMMANDS
from hooktide.commands.asking import told
from hooktide.database_cli import audit, backup, migrate, move, sizes
from hooktide.demo import run as run_demo
from hooktide.demo.api import ApiError, operator_api
from hooktide.dialects import load, read_shipped, shipped, ships
from hooktide.domain.errors import ConfigError, HooktideError, NotFoundError
from hooktide.domain.model import Scope
from hooktide.domain.project import Project, changes
from hooktide.outbox_cli import outbox, relay
from hooktide.processes.serve import serve as run_server
from hooktide.settings import Settings, check, check_database
from hooktide.vault import Vault, load_key

app = App(
    name="hooktide",
    help="Send webhooks: durably accepted, signed in your own format, retried until they arrive.",
    version=__version__,
    config=Env("HOOKTIDE_", command=False),
)
_DEFAULTS = Settings()


@app.command
def serve(settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS) -> None:
    """Run a server.

    Each option may be set in the environment too: --allow-network is HOOKTIDE_ALLOW_NETWORK. The
    operator's key is taken only from there (HOOKTIDE_OPERATOR_KEY); without it the first start
    makes one and prints it.
    """
    check(settings)
    run_server(settings, os.environ.get("HOOKTIDE_OPERATOR_KEY", ""))


@app.command
def apply(
    file: str,
    *,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    database: str | None = None,
    database_direct: str = "",
    key_file: str = "",
) -> None:
    """Make a project as its file says, and say what changed.

    Parameters
    ----------
    file
        A project file, or the name of a shipped one (see ``hooktide providers``).
    server
        The running server to ask. [http://127.0.0.1:8080]
    key
        Its operator key. [HOOKTIDE_OPERATOR_KEY]
    database
        Instead of asking a server: its database (a SQLite file's server must not be running). With
        --server it is not looked at.
    database_direct
        The same, not through a pooler (see ``hooktide serve``).
    key_file
        The key that seals secrets; with PostgreSQL it has to be given.
    """
    text = _read(file)
    project = load(file)
    if database is not None and server is None:
        settings = Settings(database=database, database_direct=database_direct, key_file=key_file)
        check_database(settings)
        done = asyncio.run(_apply_to_database(project, settings))
    else:
        done = asyncio.run(_apply_to_server(project.name, text, server, key))
    for line in done or ["nothing to change"]:
        print(f"{project.name}: {line}")


def _read(file: str) -> str:
    if ships(file):
        return read_shipped(file)
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read it ({error}); give a file, or one of: {', '.join(shipped())}", file=file
        ) from None


async def _apply_to_database(project: Project, settings: Settings) -> list[str]:
    store = await open_store(settings, Vault(load_key(settings.key_path)))
    try:
        try:
            old = (await store.get_project(Scope(), project.name)).project
        except NotFoundError:
            old = None
        done = changes(old, project)
        if done:
            await store.put_project(project, store.clock())
        return done
    finally:
        await store.close()


async def _apply_to_server(name: str, text: str, server: str | None, key: str | None) -> list[str]:
    answer = await operator_api(server, key).put_toml(f"/v1/projects/{name}", text)
    return list(answer["changes"])


@app.command
def providers() -> None:
    """List the project files that ship with Hooktide."""
    for name in shipped():
        print(f"{name:20} {load(name).title}")


@app.command
def demo(*, once: bool = False, port: int = 8080) -> None:
    """Deliver five providers' events to consumers written from their guides, and show it.

    Parameters
    ----------
    once
        End afterwards, with a non-zero exit if anything was not as promised.
    port
        Where the demo's server listens; 0 for any free port.
    """
    sys.exit(run_demo(once=once, port=port))


@app.command
def completions(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the completions of a shell: eval "$(hooktide completions bash)"."""
    print(app.generate_completion(shell=shell))


for _command in (audit, backup, migrate, move, sizes, relay, outbox):
    app.command(_command)
for _name, _command in COMMANDS.items():
    app.command(_command, name=_name, config=())  # the environment names a server, not an event


def main() -> None:
    """Run the command line; an error is one line that says what to do."""
    try:
        app(sys.argv[1:])
    except (HooktideError, ApiError) as error:
        print(f"hooktide: {told(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read it has enough, like head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
