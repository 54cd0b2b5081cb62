"""A file that temporarily cannot be read, written or locked: every caller gets an answer.

The disk fails by replacing the files behind the store's descriptors, so the real system calls fail.
"""

import asyncio
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Failed
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.domain.model import Scope
from hooktide.runtime.vault import Vault
from hooktide.store.base import Capacity
from hooktide.store.sqlite import SqliteStore, open_sqlite

ANSWERED_TIMEOUT = 30.0
"""Seconds; two are promised, and the machines that run tests are slow."""


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Make reads and writes fail on every open file of a database."""
    files = {str(path), f"{path}-wal"}
    found = [number for number, file in _descriptors() if file in files]
    saved = [(number, os.dup(number)) for number in found]
    for number in found:
        other = os.open(path.parent, os.O_RDONLY)
        os.dup2(other, number)
        os.close(other)
    try:
        yield
    finally:
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)


def _descriptors() -> Iterator[tuple[int, str]]:
    for each in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # the descriptor that lists the folder
            yield int(each.name), str(each.readlink())


async def forget_pages(given: Given) -> None:
    """Make the writer read from the disk again."""
    assert isinstance(given.store, SqliteStore)
    await given.store._write(lambda db, _: db.pragma("shrink_memory"))


async def refused(given: Given) -> UnavailableError:
    async with asyncio.timeout(ANSWERED_TIMEOUT):
        with pytest.raises(UnavailableError) as found:
            await given.publish()
    return found.value


async def test_while_the_file_cannot_be_read_everybody_is_answered_and_then_it_goes_on(
    given: Given, path: Path
) -> None:
    await given.publish()
    await forget_pages(given)
    with unreadable(path):
        for _ in range(3):
            assert "I/O error" in (await refused(given)).reason
        with pytest.raises(UnavailableError):
            async with asyncio.timeout(ANSWERED_TIMEOUT):
                await given.store.check()
    await given.store.check()
    assert len(await given.publish()) == 1
    assert (await given.store.counts()).pending == 2


async def test_a_failure_that_was_not_committed_is_not_counted(given: Given) -> None:
    await given.set_plan(disable_after=2)
    await given.publish()
    [claim] = await given.claim()
    assert isinstance(given.store, SqliteStore)
    broken = given.store._write(lambda db, _: db.execute("no statement"))
    results = await asyncio.gather(  # one transaction, whose last statement fails
        given.record(claim, Failed(), status=500), broken, return_exceptions=True
    )
    assert isinstance(results[1], UnavailableError)
    async with asyncio.timeout(ANSWERED_TIMEOUT):
        while await given.state(claim) == "pending":
            await asyncio.sleep(0.01)  # it is recorded again a little later
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert (endpoint.enabled, endpoint.consecutive_failures) == (True, 1)


class Failing:
    """A listener with a bug."""

    def capacity(self) -> Capacity:
        return Capacity(10, 1000)

    def handed_over(self, claims: object) -> None:
        raise KeyError("bug")

    def due(self, hints: object) -> None: ...


async def test_a_listener_that_fails_leaves_no_caller_without_an_answer(
    given: Given, caplog: pytest.LogCaptureFixture
) -> None:
    given.store.listen(Failing())
    async with asyncio.timeout(ANSWERED_TIMEOUT):
        first, second = await asyncio.gather(given.publish(), given.publish())
        third = await given.publish()
    assert [len(each) for each in (first, second, third)] == [1, 1, 1]
    assert "a listener failed" in caplog.text


async def test_a_database_that_somebody_has_locked_is_not_waited_for_longer_than_promised(
    given: Given, path: Path
) -> None:
    loop = asyncio.get_running_loop()
    human = apsw.Connection(str(path))
    human.execute("BEGIN IMMEDIATE")
    began = loop.time()
    first = asyncio.create_task(refused(given))
    await asyncio.sleep(0.5)
    others = [asyncio.create_task(refused(given)) for _ in range(40)]
    errors = await asyncio.gather(first, *others)
    assert loop.time() - began < 60  # one wait of 1.8 s for all; one for each would be 70 s
    assert all("another program has locked the database" in each.reason for each in errors)
    human.execute("ROLLBACK")
    human.close()
    assert len(await given.publish()) == 1


async def test_only_its_owner_may_read_the_database(given: Given, path: Path) -> None:
    await given.publish()
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600] * 3
    await given.close()
    path.chmod(0o644)
    await given.open()
    await given.publish()
    assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600] * 3


def test_a_database_that_another_program_has_locked_cannot_be_opened_now(path: Path) -> None:
    human = apsw.Connection(str(path))
    human.execute("CREATE TABLE t (x); BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError) as found:
        open_sqlite(str(path), Vault(b"k" * 32), NOON)
    assert str(path) in found.value.reason
    assert "another program has locked the database" in found.value.reason
    human.close()


def test_a_folder_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot open .*nowhere.*: No such file or directory"):
        open_sqlite(str(tmp_path / "nowhere" / "test.db"), Vault(b"k" * 32), NOON)
