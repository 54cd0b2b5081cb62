"""Rotation of the key that seals secrets: add a key, use it, reseal everything, drop the old ones.

Servers may keep running. Each step is refused until it is safe, and an interrupted rotation resumes
where it stopped.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from hooktide.domain.audit_log import Action, Actor
from hooktide.domain.counting import count_of
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.runtime.vault import (
    KEY_BYTES,
    Vault,
    added_key,
    changing_keys,
    key_id,
    read_keys,
    write_keys,
)
from hooktide.store.maintenance.sealed import SealedRows, count_by_key

POLL_INTERVAL = 1.0
OpenRows: TypeAlias = Callable[[], AbstractAsyncContextManager[SealedRows]]


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key of a key file. ``sealed``: how many values it sealed; ``processes``: the running
    processes that have read it."""

    id: str
    seals: bool
    sealed: int
    processes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStep:
    """One step of a key's rotation.

    ``count``: the values resealed with it so far; ``done`` is False while there are more.
    ``unlogged`` says why the audit log has no entry for it (empty: it has one).
    """

    verb: Literal["add", "use", "reseal", "drop"]
    key: str
    count: int = 0
    done: bool = True
    unlogged: str = ""


async def list_keys(path: Path, open_rows: OpenRows) -> tuple[list[KeyUse], int]:
    """Return the keys of a file, and how many values were sealed by none of them."""
    vault = Vault(*read_keys(path))
    async with open_rows() as rows:
        counts, live = count_by_key(await rows.prefixes(), vault), await rows.live()
    uses = [
        KeyUse(
            each,
            number == 0,
            counts[each],
            tuple(report.process for report in live if each in report.key_ids),
        )
        for number, each in enumerate(vault.ids)
    ]
    return uses, counts[""]


@contextmanager
def rotating(
    path: Path, open_rows: OpenRows, actor: Actor, on_step: Callable[[KeyStep], None]
) -> "Iterator[KeyRotation]":
    """Lock a key file for exclusive changes by this process.

    ``open_rows`` opens the database whose values they seal; ``on_step`` is called after each step.

    :raises ConfigError: another process is changing it.
    """
    with changing_keys(path):
        yield KeyRotation(path, open_rows, actor, on_step)


class KeyRotation:
    """Changes the keys of a file; see ``rotating``."""

    def __init__(
        self, path: Path, open_rows: OpenRows, actor: Actor, on_step: Callable[[KeyStep], None]
    ) -> None:
        self._path = path
        self._open_rows = open_rows
        self._actor = actor
        self._on_step = on_step

    async def add(self) -> str:
        """Add a new key, not used yet; return its id.

        :raises ConfigError: there is an unused key already, or the file cannot be written.
        """
        if (waiting := added_key(self._path)) is not None:
            raise ConfigError(
                f"{key_id(waiting)} was added before and is not used yet; use it", key="key_file"
            )
        new = secrets.token_bytes(KEY_BYTES)
        self._write([*read_keys(self._path), new], new)
        await self._done("add", key_id(new))
        return key_id(new)

    async def use(self, key: str) -> None:
        """Seal with a key from now on; the other keys still decrypt.

        :raises ConfigError: a running process has not read it, or it is not this database's.
        """
        chosen, others = self._split(key)
        async with self._open_rows() as rows:
            await _check_belongs(rows, read_keys(self._path))
            if without := await _without(rows, key):
                raise ConfigError(
                    f"not read yet by {', '.join(without)}; wait, or copy the key file there",
                    key="key_file",
                )
        self._write([chosen, *others], self._added_but(chosen))
        await self._done("use", key)

    async def reseal(self) -> None:
        """Reseal everything with the current key, batch by batch; resumes where it stopped."""
        vault, count = Vault(*read_keys(self._path)), 0
        key = vault.ids[0]
        async with self._open_rows() as rows:
            counts = count_by_key(await rows.prefixes(), vault)
            to_do = count_of(sum(counts.values()) - counts[key], "value")
            action: Action | None = self._action("reseal", key, to_do)
            while batch := await rows.reseal(vault, action):
                count, action = (
                    count + batch,
                    None,
                )  # one entry, for the first batch, covers all of them
                self._on_step(KeyStep(verb="reseal", key=key, count=count, done=False))
        self._on_step(KeyStep(verb="reseal", key=key, count=count))

    async def drop(self, key: str) -> None:
        """Delete a key.

        :raises ConfigError: it is in use, a value may need it, or it is not this database's.
        """
        dropped, others = self._split(key)
        keys_now = read_keys(self._path)
        if dropped == keys_now[0]:
            raise ConfigError(
                "this key is in use; switch to another one first, with hooktide keys use",
                key="key_file",
            )
        async with self._open_rows() as rows:
            await _check_belongs(rows, keys_now)
            counts = count_by_key(await rows.prefixes(), Vault(*keys_now))
            if old := [each.process for each in await rows.live() if each.key_ids[0] == key]:
                raise ConfigError(
                    f"{', '.join(old)} still seals with it; wait, or copy the key file there",
                    key="key_file",
                )
        if needing := counts[key] + counts[""]:
            raise ConfigError(
                f"{count_of(needing, 'value')} in the database may need it; run hooktide keys "
                "reseal first",
                key="key_file",
            )
        self._write(others, self._added_but(dropped))
        await self._done("drop", key)

    async def rotate(self, wait: float) -> None:
        """Do all four steps with a new key; each process has ``wait`` seconds to read it.

        :raises ConfigError: a process took longer; repeat this when it has read the file.
        """
        new = self._begun() or await self.add()
        if new != key_id(read_keys(self._path)[0]):
            async with self._open_rows() as rows:
                await _until_read(rows, new, time.monotonic() + wait)
            await self.use(new)
        async with self._open_rows() as rows:
            await _until_sealing(rows, new, time.monotonic() + wait)
        await self.reseal()
        for each in [key_id(each) for each in read_keys(self._path)][1:]:
            await self.drop(each)

    def _begun(self) -> str:
        """Return the new key of an interrupted rotation; empty if there is none."""
        if (added := added_key(self._path)) is not None:
            return key_id(added)
        sealing, *others = read_keys(self._path)
        return key_id(sealing) if others else ""

    def _split(self, key: str) -> tuple[bytes, list[bytes]]:
        found = {key_id(each): each for each in read_keys(self._path)}
        if key not in found:
            has = ", ".join(found)
            raise ConfigError(f"{self._path} has no key {key}; it has {has}", key="key_file")
        return found.pop(key), list(found.values())

    def _added_but(self, key: bytes) -> bytes | None:
        """Return another key that was added and is not used yet."""
        added = added_key(self._path)
        return None if added == key else added

    def _write(self, new: Sequence[bytes], added: bytes | None) -> None:
        try:
            write_keys(self._path, new, added=added)
        except OSError as error:
            raise ConfigError(
                f"cannot write {self._path}: {error.strerror}", key="key_file"
            ) from error

    async def _done(self, verb: Literal["add", "use", "drop"], key: str) -> None:
        """Record a change of the key file in the audit log; the file is outside the database."""
        unlogged = ""
        try:
            async with self._open_rows() as rows:
                await rows.note(self._action(verb, key))
        except (ConfigError, UnavailableError) as error:
            unlogged = str(error)
        self._on_step(KeyStep(verb=verb, key=key, unlogged=unlogged))

    def _action(self, verb: str, key: str, detail: str = "") -> Action:
        return self._actor.does(f"sealing_key.{verb}", key, detail)


async def _check_belongs(rows: SealedRows, keys_now: Sequence[bytes]) -> None:
    """Check that a key file belongs to this database.

    Values from before keys had ids may belong to any key, so they count.
    """
    vault = Vault(*keys_now)
    sealed = any(count_by_key(await rows.prefixes(), vault).values())
    if not sealed and not any({*vault.ids} & {*each.key_ids} for each in await rows.live()):
        raise ConfigError(
            "this database has no sealed values, and no running server has read this file: check "
            "that they belong together; for a new database, start its server first",
            key="database",
        )


async def _without(rows: SealedRows, key: str) -> list[str]:
    """Return the running processes that have not read a key."""
    return [each.process for each in await rows.live() if key not in each.key_ids]


async def _until_read(rows: SealedRows, key: str, deadline: float) -> None:
    while without := await _without(rows, key):
        await _poll_again(deadline, f"{', '.join(without)} has not read the key {key}")


async def _until_sealing(rows: SealedRows, key: str, deadline: float) -> None:
    """Wait until every process seals with a key: otherwise one could use an old key after a
    reseal."""
    while others := [each.process for each in await rows.live() if each.key_ids[0] != key]:
        await _poll_again(deadline, f"{', '.join(others)} does not seal with the key {key}")


async def _poll_again(deadline: float, what: str) -> None:
    if time.monotonic() >= deadline:
        raise ConfigError(
            f"{what} yet; copy the key file to its machine, then run this again", key="key_file"
        )
    await asyncio.sleep(POLL_INTERVAL)
