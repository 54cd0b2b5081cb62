"""``hooktide keys``: rotate the key that seals secrets, step by step or all at once."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from hooktide.actions.database import sealed_rows
from hooktide.actions.key_rotation import KeyRotation, KeyStep, list_keys, rotating
from hooktide.cli.commands.database import current_user
from hooktide.runtime.settings import Settings, check_key_file
from hooktide.store.maintenance.sealed import SealedRows

keys = App(
    name="keys",
    help="Rotate the key that seals secrets in the database. Servers may keep running.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Options of all these commands.

    Parameters
    ----------
    database
        The SQLite file, or postgresql://user:password@host/name.
    key_file
        The key file. By default the database's name and .key.
    """

    database: str = Settings().database
    key_file: str = ""

    def settings(self) -> Settings:
        """Return them as a server's settings.

        :raises ConfigError: with PostgreSQL, the key file is not given.
        """
        settings = Settings(database=self.database, key_file=self.key_file)
        check_key_file(settings)
        return settings

    def rows(self) -> AbstractAsyncContextManager[SealedRows]:
        """Open the database with its keys."""
        return sealed_rows(self.settings())

    def change(self, work: Callable[[KeyRotation], Coroutine[Any, Any, object]]) -> None:
        """Change the key file, and print each step."""
        path = self.settings().key_path

        def show(step: KeyStep) -> None:
            _print(step, path)

        with rotating(path, self.rows, current_user(), show) as rotation:
            asyncio.run(work(rotation))


Options: TypeAlias = Annotated[Where, Parameter(name="*")]
DEFAULTS = Where()
Id: TypeAlias = Annotated[str, Parameter(name="--key-id")]
"""Not ``--key``: that would be read from HOOKTIDE_KEY, which holds an API key."""


@keys.command(name="list")
def list_(*, options: Options = DEFAULTS) -> None:
    """List the keys of the key file, what each has sealed, and the servers that have read it."""
    found, other = asyncio.run(list_keys(options.settings().key_path, options.rows))
    for each in found:
        use = "seals and decrypts" if each.seals else "decrypts"
        readers = ", ".join(each.processes) or "no server"
        print(f"{each.id}  {use:<18}{each.sealed:>9,} sealed  read by: {readers}")
    if other:
        print(f"other keys, or without an id {other:>8,} sealed")


@keys.command
def add(*, options: Options = DEFAULTS) -> None:
    """Add a new key to the key file: it can decrypt, but seals nothing yet.

    Servers read the file again within seconds. Servers on other machines have their own key file:
    copy the file to them.
    """
    options.change(lambda rotation: rotation.add())


@keys.command
def use(key: Id, *, options: Options = DEFAULTS) -> None:
    """Seal with a key of the key file from now on; the others still decrypt.

    Refused until every running server has read the key.

    Parameters
    ----------
    key
        The id of the key, as ``hooktide keys list`` shows it.
    """
    options.change(lambda rotation: rotation.use(key))


@keys.command
def reseal(*, options: Options = DEFAULTS) -> None:
    """Seal everything in the database with the key that seals now; resumes where it stopped."""
    options.change(lambda rotation: rotation.reseal())


@keys.command
def drop(key: Id, *, options: Options = DEFAULTS) -> None:
    """Remove a key from the key file.

    This is refused while something in the database needs the key.

    What it signed becomes invalid: older portal links, and cursors of lists.

    Parameters
    ----------
    key
        The id of the key, as ``hooktide keys list`` shows it.
    """
    options.change(lambda rotation: rotation.drop(key))


@keys.command
def rotate(*, options: Options = DEFAULTS, wait: float = 120.0) -> None:
    """Add a new key, let it seal, re-seal everything with it, and drop the others.

    Each step waits for the running servers. If interrupted, repeat the same command.

    Parameters
    ----------
    wait
        Seconds to wait for servers to read the key file, in each step.
    """
    options.change(lambda rotation: rotation.rotate(wait))


def _print(step: KeyStep, path: Path) -> None:
    match step.verb:
        case "add":
            print(
                f"{step.key} added to {path}: it can decrypt, but seals nothing yet. Back up the "
                "file"
            )
        case "use":
            print(f"{step.key} now seals; the other keys still decrypt what they sealed")
        case "reseal" if not step.done:
            if sys.stdout.isatty():
                print(f"{step.count:,} sealed again", end="\r", flush=True)
        case "reseal" if not step.count:
            print("everything is sealed with it already")
        case "reseal":
            print(f"{step.count:,} sealed again with {step.key}")
        case "drop":
            print(f"{step.key} dropped: older backups need it, so keep it with them")
    if step.unlogged:
        print(f"this is not in the audit log: {step.unlogged}", file=sys.stderr)
