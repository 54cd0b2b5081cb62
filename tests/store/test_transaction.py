"""The foundation of the shared store code: statements that run on both databases."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest
from storekit import Given

from hooktide.domain.errors import NotFoundError
from hooktide.store.contract import Store
from hooktide.store.postgres.connection.dialect import to_postgres
from hooktide.store.sql.queries import load_queries
from hooktide.store.sql.repository import Repository
from hooktide.store.sql.transaction import ForeignKeyError, Transaction, UniqueError
from hooktide.store.sqlite.connection.dialect import to_sqlite
from hooktide.store.sqlite.connection.transactions import finish

_NAME = re.compile(r"`(\w+)`")
COMMON = """SELECT id::text FROM {schema}keys
WHERE id = ANY(:ids::bigint[]) AND name = :name
ORDER BY name COLLATE "C" FOR NO KEY UPDATE SKIP LOCKED"""


DECISION = "docs/decisions/0032-a-store-written-once-over-a-transaction.md"


def test_a_statement_that_stands_twice_is_listed_with_its_reason() -> None:
    text = Path(__file__).parents[2].joinpath(DECISION).read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    listed = _NAME.findall(" ".join(rows))
    for package in ("sqlite", "postgres"):
        twice = load_queries(f"hooktide.store.{package}", "queries.sql")
        assert sorted(listed) == sorted(twice)


def test_no_two_parts_of_the_store_have_a_method_of_the_same_name() -> None:
    parts = [
        part
        for part in Store.__mro__
        if issubclass(part, Repository) and part not in (Store, Repository)
    ]
    names = Counter(name for part in parts for name in vars(part) if not name.startswith("__"))
    assert {name for name, count in names.items() if count > 1} <= {"_abc_impl"}


def test_a_common_statement_names_the_schema_in_postgresql_alone() -> None:
    assert to_postgres(COMMON) == COMMON.replace("{schema}", "hooktide.")


def test_a_common_statement_is_plain_in_sqlite() -> None:
    assert to_sqlite(COMMON) == (
        "SELECT id FROM keys\n"
        "WHERE id IN (SELECT value FROM json_each(:ids)) AND name = :name\nORDER BY name"
    )


def test_work_in_sqlite_may_not_wait_for_anything_else() -> None:
    with pytest.raises(RuntimeError, match="may wait for its statements only"):
        finish(asyncio.sleep(0))


@pytest.mark.pooled
async def test_what_has_to_be_unique_and_what_is_not_there_are_told_apart(given: Given) -> None:
    bin_: dict[str, object] = {
        "bin_id": 4711,
        "method": "GET",
        "path": "/",
        "headers": "[]",
        "body": b"",
    }
    bin_ |= {"body_size": 0, "answered": 200, "received_at": 0, "verdict": "valid", "reason": ""}
    bin_ |= {"address": "", "note": ""}
    key: dict[str, object] = {
        "digest": b"d",
        "scope": "operator",
        "project_id": None,
        "account_id": None,
    }
    key |= {"name": "", "last4": "", "created_at": 0}

    async def twice(tx: Transaction) -> None:
        await tx.run("create_key", {**key, "id": 1})
        with pytest.raises(UniqueError):
            await tx.run("create_key", {**key, "id": 2})
        raise NotFoundError("second key")

    async def nowhere(tx: Transaction) -> None:
        with pytest.raises(ForeignKeyError):
            await tx.run("add_bin_request", {**bin_, "id": 1})
        raise NotFoundError("bin")

    for work in (twice, nowhere):
        with pytest.raises(NotFoundError):
            await given.store.writing(work)
    assert await given.store.find_key(b"d") is None
