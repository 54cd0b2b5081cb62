"""Copies a whole installation from a SQLite file to an empty PostgreSQL database.

Ids, secrets, keys, users, the log and pending deliveries are kept, so nothing changes for clients
and receivers; only users have to log in again. The copy is one transaction: all or nothing.
"""

import os
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import apsw
import asyncpg

from hooktide.domain.errors import ConfigError
from hooktide.domain.ids import made_at
from hooktide.domain.model import DAY
from hooktide.runtime.clock import wall_clock
from hooktide.store.postgres.connection.connection import AsyncpgConnection, PgConnection, connect
from hooktide.store.postgres.connection.dialect import SCHEMA, statements, to_postgres
from hooktide.store.postgres.maintenance.migrating import migrate
from hooktide.store.postgres.partitions import make_days
from hooktide.store.sqlite.connection.connection import lock, open_writer

Row: TypeAlias = tuple[Any, ...]

COPIED = {
    "projects": "id, name, config, version, created_at, changed_at, removed_at",
    "accounts": "id, project_id, reference, name, plan, created_at, removed_at, link_generation, "
    "metadata, rate_limit, burst",
    "endpoints": "id, project_id, account_id, url, event_types, name, description, headers, "
    "disabled_reason, disabled_at, failing, stale_before, stale_reason, created_at, changed_at, "
    "removed_at, kind, sealed_url, rests_until, rest_reason, rest_began_at, rest_span, "
    "rest_lifted_at, filter, filtered_at, channels, channels_at, reference, metadata, "
    "rate_limit, burst, retry_delays, timeout",
    "erasures": "account_id, group_id, project_id, started_at, sweep, erased_to, events, attempts, "
    "ended_at",
    "secrets": "endpoint_id, created_at, sealed, retires_at",
    "idempotency": "project_id, key, digest, event_id, deliveries",
    "usage": "account_id, minute, deliveries",
    "keys": "id, digest, scope, project_id, account_id, name, last4, created_at, used_at, "
    "revoked_at",
    "bins": "id, token, project_id, account_id, script, created_at, expires_at, page_token, turn",
    "replays": "id, project_id, account_id, endpoint_id, what, since, until, event_id, state, "
    "reason, counted, at_least, made, looked_to, ended_at",
    "delivery_jobs": "id, project_id, account_id, act, filter, state, reason, counted, at_least, "
    "found, done, left_out, part, looked_to, turn, ended_at",
    "delivery_job_items": "job_id, endpoint_id, subject",
    "people": "id, name, folded, role, project_id, password, created_at, seen_at, removed_at",
    "audit_log": "id, project_id, account_id, actor, source, address, action, target, detail, "
    "before, after",
    "project_minutes": "project_id, minute, accepted, held, delivered, failed, discarded, "
    "attempts, failed_attempts",
    "project_hours": "project_id, hour, accepted, held, delivered, failed, discarded, attempts, "
    "failed_attempts",
    "account_hours": "account_id, hour, project_id, delivered, failed, discarded, attempts, "
    "failed_attempts",
    "endpoint_hours": "endpoint_id, hour, project_id, account_id, delivered, failed, discarded, "
    "attempts, failed_attempts, duration, slowest",
    "endpoint_health": "endpoint_id, project_id, account_id, last_delivered_at, failing_since, "
    "last_failed_at, last_cause",
    "endpoint_causes": "endpoint_id, hour, cause, project_id, account_id, attempts",
    "histograms": "subject_id, hour, project_id, account_id, latency, delay",
    "event_terms": "event_id, place, start, project_id, account_id, term, shown",
    "payload_expiries": "event_id, erase_at",
    "search_indexes": "project_id, paths, upto, complete_from, filling, filled, started_at, "
    "ended_at",
    "happenings": "key, project_id, type, account_id, endpoint_id, at, about",
    "bin_requests": "id, bin_id, method, path, headers, body, body_size, answered, received_at, "
    "verdict, reason, address, note",
}
"""The columns of the tables that are the same in both."""
_EVENTS = (
    "id, project_id, account_id, type, transition, test, occurred_at, deliveries, payload, "
    "channels, tags, erased_at"
)
_QUEUE = (
    "id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, due_at, claim, "
    "reason"
)
_ENDED = (
    "id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, ended_at, reason"
)
_ATTEMPT = (
    "started_at, duration, status, error, detail, request_head, response_head, response_body, "
    "response_truncated"
)
_WAITING = "state IN ('pending', 'held')"
_SELECT_QUEUE = (
    "SELECT id, event_id, endpoint_id, account_id, project_id, origin, state, attempts, "  # noqa: S608 - our own text
    "CASE WHEN state = 'held' THEN NULL WHEN claim > 0 THEN :now ELSE due_at END, 0, reason "
    f"FROM deliveries WHERE {_WAITING}"
)
_SELECT_ATTEMPTS = (
    f"SELECT a.id & ~2047, a.id & 2047, d.account_id, {_ATTEMPT} "  # noqa: S608 - our own text
    "FROM attempts AS a JOIN deliveries AS d ON d.id = a.id & ~2047"
)


async def copy_installation(path: str, url: str) -> dict[str, int]:
    """Copy the database file at ``path`` to the PostgreSQL at ``url``; return the rows by table.

    The file is unchanged. No server may use either database meanwhile.

    :raises ConfigError: a server uses the file, or the other database is not empty.
    """
    descriptor = lock(path)
    try:
        source = open_writer(path)
        try:
            await migrate(url)
            return await _copy(source, await connect(url))
        finally:
            source.close()
    finally:
        os.close(descriptor)


async def _copy(source: apsw.Connection, target: AsyncpgConnection) -> dict[str, int]:
    try:
        async with target.transaction():
            if await target.fetchval(to_postgres("SELECT count(*) FROM {schema}projects")):
                raise ConfigError(
                    "the PostgreSQL database already has projects; give an empty one",
                    key="to",
                )
            await _make_days(source, target)
            [[set_back_from]] = list(source.execute("SELECT set_back_from FROM clock_mark"))
            noted = {"instant": set_back_from}
            await PgConnection(target).run(statements()["note_clock_set_back"], noted)
            return {
                table: await _put(target, table, columns, rows)
                for table, columns, rows in _tables(source)
            }
    except asyncpg.PostgresError as error:
        raise ConfigError(f"PostgreSQL refused: {error}", key="to") from error
    finally:
        await target.close()


def _tables(source: apsw.Connection) -> Iterable[tuple[str, str, Iterable[Row]]]:
    now = {"now": wall_clock()}
    for table, columns in COPIED.items():
        yield table, columns, source.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 - our own text
    events = source.execute(f"SELECT {_EVENTS} FROM events")  # noqa: S608 - our own text
    yield "events", _EVENTS, ((*row[:5], bool(row[5]), *row[6:]) for row in events)
    yield "queue", _QUEUE, source.execute(_SELECT_QUEUE, now)
    ended = f"SELECT {_ENDED} FROM deliveries WHERE NOT {_WAITING}"  # noqa: S608 - our own text
    yield "ended", _ENDED, source.execute(ended)
    attempts = source.execute(_SELECT_ATTEMPTS)
    columns = f"delivery_id, number, account_id, {_ATTEMPT}"
    yield "attempts", columns, ((*row[:-1], bool(row[-1])) for row in attempts)


async def _put(target: AsyncpgConnection, table: str, columns: str, rows: Iterable[Row]) -> int:
    done = await target.copy_records_to_table(
        table, schema_name=SCHEMA, columns=columns.split(", "), records=_slowly(rows)
    )
    return int(done.rpartition(" ")[2])


async def _slowly(rows: Iterable[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row


async def _make_days(source: apsw.Connection, target: AsyncpgConnection) -> None:
    """Create the log's daily partitions, from the oldest event's day on."""
    [[first]] = list(source.execute("SELECT min(id) FROM events"))
    today = wall_clock() // DAY
    oldest = today if first is None else made_at(first) // DAY
    partitions = statements()["partitions"]
    await make_days(PgConnection(target), partitions, range(min(oldest, today), today + 1))
