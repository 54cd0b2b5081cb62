"""``hooktide audit``: true of a database that has lived, and each check sees what it is for."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from livedkit import ENDED, PROJECT, Life, live
from storekit import NOON

from hooktide.domain.backoff import Retry
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import DAY, Micros
from hooktide.domain.project import Plan
from hooktide.store.audit import CHECKS, Finding
from hooktide.store.sqlite import open_sqlite
from hooktide.store.sqlite.audit import audit_sqlite
from hooktide.vault import Vault


@dataclass
class Lived:
    """A database in which everything has happened, as ``live`` leaves it."""

    life: Life
    path: Path

    async def audit(self, now: Micros = ENDED) -> dict[str, Finding]:
        found = await asyncio.to_thread(lambda: list(audit_sqlite(str(self.path), now)))
        return {finding.check.name: finding for finding in found}

    async def broken(self, now: Micros = ENDED) -> list[str]:
        return [name for name, finding in (await self.audit(now)).items() if finding.broken]

    def tamper(self, sql: str) -> None:
        names = {name: endpoint.id for name, endpoint in self.life.endpoints.items()}
        db = apsw.Connection(str(self.path))
        for statement in sql.split(";"):
            db.execute(statement, names | self.life.accounts)
            assert db.changes() or "PRAGMA" in statement, statement
        db.close()


@pytest.fixture
async def lived(tmp_path: Path) -> AsyncIterator[Lived]:
    path = tmp_path / "lived.db"
    store = open_sqlite(str(path), Vault(b"k" * 32), NOON)
    life = await live(store)
    yield Lived(life, path)
    await store.close()


async def test_a_database_that_has_lived_breaks_nothing_and_every_check_looked(
    lived: Lived,
) -> None:
    found = await lived.audit()
    assert list(found) == [check.name for check in CHECKS]
    assert {name: finding.examples for name, finding in found.items() if finding.broken} == {}
    assert [name for name, finding in found.items() if not finding.looked_at] == []


async def test_what_an_earlier_configuration_allowed_is_not_held_against_a_database(
    lived: Lived,
) -> None:
    strict = dataclasses.replace(
        PROJECT,
        plans=(Plan(name="small", endpoints=0, deliveries_per_hour=0, retries=0),),
        retry=Retry(delays=(DAY,)),
        disable_after=1,
    )
    await lived.life.store.put_project(strict, ENDED)
    assert await lived.broken() == []


async def test_what_retention_has_dropped_is_not_missed(lived: Lived) -> None:
    later = ENDED + 31 * DAY
    await lived.life.publish(later - DAY, "invoice.sent")
    await lived.life.work(later - DAY, flaky=500)
    dropped = await lived.life.store.drop_old(later, 4)
    assert dropped == 4
    assert await lived.broken(later) == []
    while await lived.life.store.drop_old(later, 100):
        pass
    assert await lived.broken(later) == []


async def test_a_run_of_failures_is_known_of_an_endpoint_older_than_the_log_too(
    lived: Lived,
) -> None:
    unlimited = dataclasses.replace(PROJECT, plans=(Plan(name="small", retries=1),))
    await lived.life.store.put_project(unlimited, ENDED)
    later = ENDED + 31 * DAY
    await lived.life.publish(later, "invoice.sent")
    await lived.life.work(later)
    assert await lived.broken(later) == []
    lived.tamper("UPDATE endpoints SET failing = 1 WHERE id = :flaky")
    assert await lived.broken(later) == ["failing"]


async def test_what_breaks_an_invariant_is_counted_and_the_first_few_are_named(
    lived: Lived,
) -> None:
    lived.tamper("UPDATE deliveries SET state = 'lost' WHERE state = 'delivered'")
    found = (await lived.audit())["states"]
    assert found.broken > len(found.examples) == 5
    assert all(example.startswith("dlv_") for example in found.examples)


@pytest.mark.parametrize(
    ("number", "told"), [(0, "bring it up to date"), (99, "start the newer Hooktide")]
)
async def test_a_database_on_another_schema_is_not_looked_at(
    lived: Lived, number: int, told: str
) -> None:
    lived.tamper(f"PRAGMA user_version = {number}")
    with pytest.raises(ConfigError, match=told):
        await lived.audit()


BREAKAGES = {
    "fan_out": [
        "UPDATE events SET deliveries = deliveries + 1 WHERE type = 'other.thing'",
        """INSERT INTO deliveries (id, event_id, endpoint_id, account_id, project_id, origin, state,
            attempts, claim, ended_at)
        SELECT id + 1024000, event_id, endpoint_id, account_id, project_id, origin, 'discarded',
            0, 0, 1
        FROM deliveries WHERE endpoint_id = :small""",
    ],
    "missed": [
        """UPDATE deliveries SET endpoint_id = :quiet WHERE endpoint_id = :good
        AND event_id IN (SELECT id FROM events WHERE type = 'contact.updated')""",
    ],
    "states": [
        "UPDATE deliveries SET state = 'lost' WHERE endpoint_id = :removed",
        "UPDATE deliveries SET due_at = NULL WHERE endpoint_id = :flaky AND state = 'pending'",
    ],
    "orphans": [
        "DELETE FROM events WHERE type = 'other.thing'",
        """INSERT INTO attempts SELECT id + 2048, started_at, duration, status, error, detail,
            request_head, response_head, response_body, response_truncated
        FROM attempts ORDER BY id DESC LIMIT 1""",
    ],
    "attempt_numbers": [
        """DELETE FROM attempts WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE endpoint_id = :flaky AND attempts = 2)""",
        "UPDATE deliveries SET attempts = 0 WHERE state = 'delivered' AND endpoint_id = :flaky",
    ],
    "retries": [
        """INSERT INTO attempts SELECT id + 1, started_at + 60000000, duration, status, error,
            detail, request_head, response_head, response_body, response_truncated
        FROM attempts WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed');
        UPDATE deliveries SET attempts = 3 WHERE endpoint_id = :flaky AND state = 'failed'""",
    ],
    "delivered": [
        """UPDATE attempts SET status = 500 WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE origin = 'resend')""",
        """UPDATE attempts SET status = 204 WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed')""",
        """UPDATE attempts SET status = 200 WHERE id IN (
            SELECT id + 1 FROM deliveries WHERE endpoint_id = :flaky AND attempts = 2)""",
    ],
    "claims": [
        """UPDATE deliveries SET claim = (SELECT max(id) FROM deliveries),
            due_at = (SELECT max(id) >> 11 FROM deliveries)
        WHERE endpoint_id = :bad AND state = 'pending'""",
    ],
    "leases": [
        "UPDATE deliveries SET due_at = due_at + 3600000000 WHERE state = 'pending' AND claim > 0",
        """UPDATE deliveries SET due_at = due_at + 10 * 86400000000
        WHERE state = 'pending' AND endpoint_id = :flaky""",
    ],
    "sent_after": [
        """UPDATE attempts SET started_at = started_at + 3600000000
        WHERE id IN (SELECT id + 2 FROM deliveries WHERE endpoint_id = :bad)""",
        "UPDATE deliveries SET endpoint_id = :gone WHERE origin = 'resend'",
    ],
    "failing": [
        "UPDATE endpoints SET failing = 2 WHERE id = :flaky",
        "UPDATE endpoints SET failing = 0 WHERE id = :flaky",
        "UPDATE endpoints SET failing = 1 WHERE id = :good",
    ],
    "auto_disable": [
        """UPDATE projects
        SET config = replace(config, '"disable_after":3', '"disable_after":1')""",
    ],
    "gaps": [
        """UPDATE attempts SET started_at = started_at - 11900000
        WHERE id IN (SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky)""",
        """UPDATE attempts SET started_at = started_at - 60000000
        WHERE id IN (
            SELECT id + 2 FROM deliveries WHERE endpoint_id = :flaky AND state = 'failed')""",
    ],
    "endpoint_limits": ["UPDATE endpoints SET removed_at = NULL WHERE id = :removed"],
    "hourly_limits": ["UPDATE usage SET deliveries = 100 WHERE account_id = :acme"],
    "idempotency": [
        "UPDATE idempotency SET event_id = event_id + 1 WHERE key = 'a key'",
        "UPDATE idempotency SET event_id = (SELECT max(event_id) FROM idempotency)",
        "UPDATE idempotency SET project_id = 1 WHERE key = 'a key'",
    ],
    "ownership": [
        "UPDATE deliveries SET account_id = :umbrella WHERE endpoint_id = :removed",
        "UPDATE deliveries SET project_id = 1 WHERE endpoint_id = :removed",
        "UPDATE endpoints SET account_id = :umbrella WHERE id = :gone",
    ],
}
"""Ways to break what a check is for, as SQL."""


def test_every_check_has_a_way_to_break_it() -> None:
    assert list(BREAKAGES) == [check.name for check in CHECKS]


@pytest.mark.parametrize(
    ("check", "sql"), [(check, sql) for check, ways in BREAKAGES.items() for sql in ways]
)
async def test_a_check_sees_what_it_is_for_and_no_other_does(
    lived: Lived, check: str, sql: str
) -> None:
    lived.tamper(sql)
    assert await lived.broken() == [check]
