"""A repeated log message is written a few times, and then counted."""

import io
import logging

import pytest
from uvicorn.logging import AccessFormatter

from hooktide.runtime.logs import (
    MAX_CACHED_MESSAGES,
    MAX_REPEATS,
    REPEAT_INTERVAL,
    MemoryErrorFilter,
    PathFilter,
    RepeatFilter,
    into_logging,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(message: str, name: str = "hooktide.store") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, ("full",), None)


def test_what_repeats_is_written_a_few_times_and_then_counted() -> None:
    clock = Clock()
    repeats = RepeatFilter(clock)
    written = [repeats.filter(record("the disk is %s")) for _ in range(600)]
    assert written == [True] * MAX_REPEATS + [False] * (600 - MAX_REPEATS)
    assert repeats.filter(record("something else: %s"))
    clock.now = REPEAT_INTERVAL - 0.001
    assert not repeats.filter(record("the disk is %s"))
    clock.now = REPEAT_INTERVAL
    later = record("the disk is %s")
    assert repeats.filter(later)
    assert later.getMessage() == f"the disk is full (and {601 - MAX_REPEATS} more like it)"
    clock.now = 2 * REPEAT_INTERVAL
    again = record("the disk is %s")
    assert repeats.filter(again)
    assert again.getMessage() == "the disk is full"


def test_messages_that_are_never_the_same_twice_are_not_remembered_for_ever() -> None:
    repeats = RepeatFilter(Clock())
    for number in range(2 * MAX_CACHED_MESSAGES):
        assert repeats.filter(record(f"task {number} failed: %s"))
    assert len(repeats._seen) == MAX_CACHED_MESSAGES


def test_what_names_a_request_is_always_written() -> None:
    repeats = RepeatFilter(Clock())
    assert all(repeats.filter(record("instance %s", "hooktide.web")) for _ in range(100))


@pytest.mark.parametrize(
    ("error", "written"),
    [(MemoryError(), "the disk is full: no memory was left"), (ValueError(), "the disk is full")],
)
def test_a_shortage_of_memory_is_written_without_its_stack(error: Exception, written: str) -> None:
    met = record("the disk is %s")
    met.exc_info = (type(error), error, None)
    assert MemoryErrorFilter().filter(met)
    assert met.getMessage() == written
    assert (met.exc_info is None) == isinstance(error, MemoryError)


PATHS = {
    "/app/portal/AAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D%3D/endpoints": "/app/portal/****/endpoints",
    "/bins/AAAAAAAAAAAAAAAAAAAAAAAA?x=1": "/bins/****?x=1",
    "/dashboard/login/AAAAAAAAAAAAAAAAAAAAAAAA": "/dashboard/login/****",
    "/v1/endpoints/ep_0000000000000001/deliveries": "/v1/endpoints/ep_0000000000000001/deliveries",
}


@pytest.mark.parametrize(("path", "shown"), PATHS.items())
def test_an_applications_access_log_shows_no_path_that_lets_one_in(path: str, shown: str) -> None:
    into_logging()
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(AccessFormatter("%(request_line)s %(status_code)s"))
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(handler)
    try:
        logger.warning('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", 200)
    finally:
        logger.removeHandler(handler)
    assert written.getvalue().split()[1] == shown


def test_access_logs_of_atoms_are_masked_too() -> None:
    made = logging.LogRecord("gunicorn.access", logging.INFO, "", 0, '"%(r)s" %(s)s', (), None)
    made.args = {"r": "GET /portal/AAAAAAAAAAAAAAAAAAAAAAAA HTTP/1.1", "s": "200"}
    assert PathFilter().filter(made)
    assert made.getMessage() == '"GET /portal/**** HTTP/1.1" 200'
