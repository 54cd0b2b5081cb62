"""No background task or thread ends unnoticed."""

import ast
import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooktide.domain.errors import UnavailableError
from hooktide.runtime import background

SOURCE = Path(background.__file__).parents[1]
STARTERS = {"create_task", "ensure_future", "Thread"}
ALLOWED = {
    ("runtime/background.py", "create_task"),
    ("runtime/background.py", "Thread"),
    ("app/tracing.py", "Thread"),  # its creator waits for it
    ("app/processes/supervisor.py", "create_task"),  # in a TaskGroup, which propagates errors
    ("cli/demo/__init__.py", "create_task"),  # the same
    ("cli/demo/consumers/consumer.py", "Thread"),  # an example program to be read and copied
}


def starters() -> Iterator[tuple[str, str]]:
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in STARTERS:
                yield str(file.relative_to(SOURCE)), node.attr


def test_tasks_and_threads_are_started_in_one_place() -> None:
    annotations = {
        ("store/sqlite/writing/writer.py", "Thread"),
        ("store/sqlite/connection/checkpoint.py", "Thread"),
    }
    assert set(starters()) - annotations == ALLOWED


async def test_an_error_in_a_task_that_nobody_awaits_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(error: Exception) -> None:
        raise error

    held: set[asyncio.Task[None]] = set()
    planned = background.start(fail(UnavailableError("away")), "do one thing")
    background.start_in(held, fail(KeyError("bug")), "do another")
    assert len(held) == 1
    await asyncio.wait({planned, *held})
    await asyncio.sleep(0)
    assert not held
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "could not do one thing: away"),
        ("ERROR", "a bug stopped the task: do another"),
    ]
    assert caplog.records[1].exc_info is not None


async def test_what_has_to_last_is_run_again_whatever_ends_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = 0
    done = asyncio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise UnavailableError("away")
        if runs == 2:
            raise KeyError("bug")
        if runs == 3:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone  # a cancellation, but not of this task
        done.set()
        await asyncio.Event().wait()

    task = background.keep(run, "last", retry_delay=0)
    async with asyncio.timeout(30):
        await done.wait()
    assert not task.done()
    assert [each.levelname for each in caplog.records] == ["WARNING", "ERROR", "ERROR"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runs == 4


async def test_a_task_that_is_cancelled_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hooktide")
    task = background.start(asyncio.sleep(60), "sleep")
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert caplog.records == []


def test_a_vital_thread_that_fails_ends_the_process() -> None:
    program = (
        "import time\n"
        "from hooktide.runtime.background import start_vital_thread\n"
        "start_vital_thread(lambda: 1 / 0, 'writer')\n"
        "time.sleep(60)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == background.EXIT_THREAD_FAILED
    assert "ZeroDivisionError" in ended.stderr
