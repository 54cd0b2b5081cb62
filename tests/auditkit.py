"""A database that can be audited, corrupted by hand, and restored."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import apsw
import asyncpg
from livedkit import ENDED, Life
from storekit import Place

from hooktide.domain.model import Micros
from hooktide.store.maintenance.invariants import Finding
from hooktide.store.postgres.maintenance.invariants import audit_postgres
from hooktide.store.sqlite.maintenance.invariants import audit_sqlite

SAVE = """
DO $$ DECLARE name text; BEGIN
    CREATE SCHEMA saved;
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'hooktide'::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP EXECUTE format('CREATE TABLE saved.%1$I AS TABLE hooktide.%1$I', name); END LOOP;
END $$
"""
PUT_BACK = """
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'saved'::regnamespace
    LOOP EXECUTE format('DELETE FROM hooktide.%1$I', name);
        EXECUTE format('INSERT INTO hooktide.%1$I SELECT * FROM saved.%1$I', name); END LOOP;
END $$
"""


async def audited(place: Place, now: Micros = ENDED) -> dict[str, Finding]:
    """Return what each check finds in a database, which servers may have open."""
    if place.is_file:
        found = await asyncio.to_thread(lambda: list(audit_sqlite(place.url, now)))
    else:
        url = place.direct or place.url
        found = [finding async for finding in audit_postgres(url, now)]
    return {finding.check.name: finding for finding in found}


async def miscounted(place: Place) -> int:
    """Return how many endpoints have a count of pending deliveries that differs from their rows."""
    return (await audited(place))["waiting_counts"].broken


@dataclass
class Lived:
    """A database with every kind of delivery, created by ``live``."""

    life: Life
    place: Place

    async def audit(self, now: Micros = ENDED) -> dict[str, Finding]:
        return await audited(self.place, now)

    async def broken(self, now: Micros = ENDED) -> list[str]:
        return [name for name, finding in (await self.audit(now)).items() if finding.broken]

    async def tamper(self, sql: str) -> None:
        """Run SQL that corrupts the database.

        Parameters name endpoints and accounts, like ``:good``.
        """
        known = {name: endpoint.id for name, endpoint in self.life.endpoints.items()}
        for name, id_ in (known | self.life.accounts).items():
            sql = sql.replace(f":{name}", str(id_))
        for statement in sql.split(";"):
            assert await self._run(statement), statement

    async def _run(self, statement: str) -> bool:
        if self.place.is_file:
            db = apsw.Connection(self.place.url)
            db.execute(statement)
            changed = bool(db.changes()) or "PRAGMA" in statement
            db.close()
            return changed
        connection = await asyncpg.connect(self.place.url)
        try:
            return not (await connection.execute(statement)).endswith(" 0")
        finally:
            await connection.close()

    async def save(self) -> None:
        """Save the contents. No store may have the database open."""
        if self.place.is_file:
            shutil.copy(self.place.url, f"{self.place.url}.saved")
        else:
            await self._run(SAVE)

    async def put_back(self) -> None:
        """Restore the saved contents."""
        if not self.place.is_file:
            await self._run(PUT_BACK)
            return
        for more in ("-wal", "-shm"):
            Path(f"{self.place.url}{more}").unlink(missing_ok=True)
        shutil.copy(f"{self.place.url}.saved", self.place.url)
