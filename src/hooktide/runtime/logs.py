"""Logs: one JSON object per line on standard error, with stable field names.

An attempt is one line (``"event":"attempt"``). Those lines are many, so they are written directly,
several at once; everything else goes through structlog. Nothing here ever sees a secret, a payload
or a header.
"""

import asyncio
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from select import PIPE_BUF
from typing import IO, Any

import structlog

from hooktide.domain.model import SECOND, Attempt, Claim
from hooktide.runtime.cache import Cache

WRITE_INTERVAL = 0.1
REPEAT_INTERVAL = 10.0
MAX_REPEATS = 5
MAX_CACHED_MESSAGES = 1000
_BUFFERED = 256


def set_up(level: str = "info") -> None:
    """Send the logs of this process to standard error as JSON lines."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line is one write
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    handler.addFilter(MemoryErrorFilter())
    handler.addFilter(RepeatFilter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for library in ("uvicorn", "httpx"):  # they say of each request that it was made
        logging.getLogger(library).setLevel("WARNING")


class MemoryErrorFilter(logging.Filter):
    """Logs that memory was short without the stack trace, which only shows where that happened to
    occur.

    In our code it is answered 503. In the event loop itself, while it reads from a connection, the
    connection is closed and the client has to repeat the request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record is written."""
        if record.exc_info and isinstance(record.exc_info[1], MemoryError):
            record.msg, record.args = f"{record.getMessage()}: no memory was left", None
            record.exc_info = None
        return True


class RepeatFilter(logging.Filter):
    """Lets a message through a few times within ten seconds, and then only counts it.

    While a disk is full or a database unavailable, every attempt logs the same error, many times a
    second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        # When it began, how often it came. Some messages hold what is never the same twice.
        self._seen: Cache[tuple[str, str], list[float]] = Cache(MAX_CACHED_MESSAGES)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write this message, with the number of suppressed ones."""
        if record.name.startswith("hooktide.web"):
            return True  # each of these names a request that a client may ask about
        with self._lock:
            return self._is_written(record, self._clock())

    def _is_written(self, record: logging.LogRecord, now: float) -> bool:
        key = (record.name, str(record.msg))
        seen = self._seen.get(key)
        if seen is None:
            seen = [now, 0.0]
            self._seen.keep(key, seen)
        if now - seen[0] >= REPEAT_INTERVAL:
            left_out = int(seen[1]) - MAX_REPEATS
            seen[:] = [now, 0.0]
            if left_out > 0:
                record.msg = f"{record.msg} (and {left_out} more like it)"
        seen[1] += 1
        return seen[1] <= MAX_REPEATS


def into_logging() -> None:
    """Send the logs through Python's ``logging``, unless the application has configured otherwise.

    The application's server may log each request's path, and some of our paths are credentials:
    those are masked in the access logs of the common servers.
    """
    for name in ACCESS_LOGS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, PathFilter) for each in logger.filters):
            logger.addFilter(PathFilter())
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
            logger_factory=structlog.stdlib.LoggerFactory(),
        )


ACCESS_LOGS = ("uvicorn.access", "hypercorn.access", "gunicorn.access", "daphne.server")


class PathFilter(logging.Filter):
    """Masks credentials in logged paths: portal links, bins' pages, login links."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record is written, masked."""
        if isinstance(record.args, tuple):  # uvicorn's formatter wants its five values
            record.args = tuple(_masked(each) for each in record.args)
        elif record.args:
            record.msg, record.args = _masked(record.getMessage()), None
        record.msg = _masked(record.msg)
        return True


def _masked(value: Any) -> Any:
    return _CREDENTIALS.sub(r"\1****", value) if isinstance(value, str) else value


_CREDENTIALS = re.compile(r"(/(?:portal|bins|dashboard/login)/)[^/?\s\"]{20,}")


_SHARED: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(key="at"),
]


_LINE = (
    b'{"event":"attempt","at":%.6f,"project":"%b","account":"acc_%016x","endpoint":"ep_%016x",'
    b'"event_id":"evt_%016x","type":"%b","delivery":"dlv_%016x","attempt":%d,"verdict":"%b",'
    b'"duration_ms":%.3f,"status":%b,"error":"%b"}\n'
)


class AttemptLog:
    """Writes a line for each attempt, mostly off the hot path."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def write(self, project: str, claim: Claim, made: Attempt, verdict: str) -> None:
        """Note one attempt; it is written within a tenth of a second.

        No value in the line needs JSON escaping.
        """
        event = claim.event
        line = _LINE % (
            made.started_at / SECOND,
            project.encode(),
            event.account_id,
            claim.endpoint_id,
            event.id,
            event.type.encode(),
            claim.delivery_id,
            claim.attempt,
            verdict.encode(),
            made.duration / 1000,
            b"null" if made.status is None else b"%d" % made.status,
            made.error.encode(),
        )
        if not self._lines:
            self._loop.call_later(WRITE_INTERVAL, self.flush)
        self._lines.append(line)
        if len(self._lines) >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Write the buffered lines."""
        lines, self._lines = self._lines, []
        for piece in _pieces(lines):
            self._stream.write(piece)
            self._stream.flush()


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join as many lines as a pipe takes in one atomic write."""
    piece = b""
    for line in lines:
        if len(piece) + len(line) > PIPE_BUF and piece:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
