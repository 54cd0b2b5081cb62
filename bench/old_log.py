"""A log that is past retention: events with a delivery each, put beside the server's own rows."""

import sqlite3
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bench.postgres import binaries
from bench.processes import BenchError

DAY = 86_400
DAYS_AGO = 60
ATTEMPTS_EACH = 5
BATCH_SIZE = 20_000
_HEAD = "'POST / HTTP/1.1' || char(13, 10) || hex(zeroblob(100))"

_SQLITE = (
    """INSERT INTO events SELECT {base} + (n << 11), project_id, account_id, type, transition,
    test, {at}, 1, payload FROM numbers, (SELECT * FROM events ORDER BY id DESC LIMIT 1)""",
    """INSERT INTO deliveries SELECT {base} + (n << 11), {base} + (n << 11), endpoint_id,
    account_id, project_id, origin, 'failed', {each}, NULL, 0, {at}, 'tried too often'
    FROM numbers, (SELECT * FROM deliveries ORDER BY id DESC LIMIT 1)""",
    """INSERT INTO attempts SELECT {base} + (n << 11) + number.value, {at}, 5000, 500, '', '',
    CAST({head} AS BLOB), CAST({head} AS BLOB), x'', 0
    FROM numbers, json_each('[1, 2, 3, 4, 5]') AS number""",
)
_NUMBERS = """WITH RECURSIVE numbers (n) AS (
    SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) """

_POSTGRES = """
CREATE TABLE hooktide.events_{day} PARTITION OF hooktide.events
    FOR VALUES FROM ({base}) TO ({end});
CREATE TABLE hooktide.ended_{day} PARTITION OF hooktide.ended
    FOR VALUES FROM ({base}) TO ({end});
CREATE TABLE hooktide.attempts_{day} PARTITION OF hooktide.attempts
    FOR VALUES FROM ({base}) TO ({end});
INSERT INTO hooktide.events SELECT {base} + (n << 11), project_id, account_id, type, transition,
    test, {at}, 1, payload
FROM generate_series(1, {count}::bigint) AS n, (SELECT * FROM hooktide.events LIMIT 1) AS e;
INSERT INTO hooktide.ended SELECT {base} + (n << 11), {base} + (n << 11), endpoint_id, account_id,
    project_id, origin, 'failed', {each}, {at}, 'tried too often'
FROM generate_series(1, {count}::bigint) AS n, (SELECT * FROM hooktide.ended LIMIT 1) AS d;
INSERT INTO hooktide.attempts SELECT {base} + (n << 11), number, account_id, {at}, 5000, 500, '',
    '', convert_to(repeat('x', 220), 'UTF8'), convert_to(repeat('x', 220), 'UTF8'), '', false
FROM generate_series(1, {count}::bigint) AS n, generate_series(1, {each}) AS number,
    (SELECT * FROM hooktide.ended LIMIT 1) AS d;
"""


class OldLog:
    """Attempts of a day past retention, in the database of a server that is running.

    ``database``: SQLite's file or PostgreSQL's URL.
    """

    def __init__(self, database: Path | str) -> None:
        self._database = database
        day = int(time.time()) // DAY - DAYS_AGO
        self._day = f"{datetime.fromtimestamp(day * DAY, UTC):%Y%m%d}"
        self._base, self._end = (day * DAY * 1_000_000) << 11, ((day + 1) * DAY * 1_000_000) << 11

    def fill(self, attempts: int) -> None:
        """Add so many attempts, five of each delivery."""
        values = {
            "day": self._day,
            "base": self._base,
            "end": self._end,
            "at": self._base >> 11,
            "each": ATTEMPTS_EACH,
            "count": attempts // ATTEMPTS_EACH,
            "head": _HEAD,
        }
        if isinstance(self._database, str):
            self._psql(_POSTGRES.format(**values))
            return
        with closing(self._sqlite()) as db:
            for first in range(1, values["count"] + 1, BATCH_SIZE):  # type: ignore[operator]
                numbers = _NUMBERS.format(first=first, last=first + BATCH_SIZE - 1)
                db.execute("BEGIN IMMEDIATE")
                for statement in _SQLITE:
                    db.execute(numbers + statement.format(**values))
                db.execute("COMMIT")
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            # A log of gigabytes, which no server ever writes, would be what is measured instead.
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def left(self) -> int:
        """Count the attempts that are still there."""
        if isinstance(self._database, str):
            table = f"hooktide.attempts_{self._day}"
            found = self._psql(f"SELECT to_regclass('{table}') IS NULL")
            return 0 if found == "t" else int(self._psql(f"SELECT count(*) FROM {table}"))
        with closing(self._sqlite()) as db:
            [(left,)] = db.execute("SELECT count(*) FROM attempts WHERE id < ?", (self._end,))
        return int(left)

    def _sqlite(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._database, isolation_level=None, timeout=30)
        db.execute("PRAGMA wal_autocheckpoint = 0")  # the server's own affair
        return db

    def _psql(self, sql: str) -> str:
        command = [str(binaries() / "psql"), str(self._database), "-qAtc", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"psql: {done.stderr[-300:]}")
        return done.stdout.strip()
