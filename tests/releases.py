"""Simulates a later release of Hooktide: this one with additional migrations."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import forkkit
from forkkit import AnyProcess

import hooktide
from hooktide.store.maintenance.migrate import Migration, load_migrations


@dataclass
class Release:
    """A release that can be run. ``env`` makes Python find it."""

    env: dict[str, str] = field(default_factory=dict)

    async def start(self, *command: str, under: Sequence[str] = ()) -> AnyProcess:
        """Start a command, optionally under another program such as strace."""
        if not self.env and not under:
            return await forkkit.start(*command)
        return await asyncio.create_subprocess_exec(
            *under, sys.executable, "-m", "hooktide", *command,
            stdout=PIPE, stderr=STDOUT, env=os.environ | self.env,
        )  # fmt: skip

    async def run(self, *command: str, under: Sequence[str] = ()) -> tuple[int, str]:
        """Run a command. Return its exit code and output."""
        process = await self.start(*command, under=under)
        async with asyncio.timeout(60):
            told, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, told.decode()


def known(store: str) -> list[Migration]:
    """Return this release's migrations for a store."""
    return load_migrations(f"hooktide.store.{store}")


def later(folder: Path, store: str, migrations: dict[str, str]) -> Release:
    """Create a later release in a folder, with these migrations (by name) after a store's own."""
    [here] = hooktide.__path__
    package = folder / "hooktide"
    shutil.copytree(here, package)
    for number, (name, sql) in enumerate(migrations.items(), len(known(store)) + 1):
        (package / "store" / store / "migrations" / f"{number:04}_{name}.sql").write_text(sql)
    return Release({"PYTHONPATH": str(folder)})
