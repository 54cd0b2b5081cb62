"""Listing rows: conditions, scopes and pages."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from hooktide.domain.model import Scope
from hooktide.store.base import Page
from hooktide.store.rows import Row
from hooktide.store.sql.transaction import NO_VALUES, Transaction, Values

LIVE = ("removed_at IS NULL", "live", True)
"""The condition that leaves out what was deleted."""


def conditions(wanted: Iterable[tuple[str, str, Any]]) -> tuple[str, dict[str, Any]]:
    """Join the conditions whose value is given into a WHERE clause.

    Each is (SQL with one placeholder, the placeholder's name, value or None); the SQL is ours.
    """
    given = [item for item in wanted if item[2] is not None]
    clause = " AND ".join(sql for sql, _, _ in given)
    return f" WHERE {clause}" if clause else "", {name: value for _, name, value in given}


def in_scope(scope: Scope, table: str = "") -> list[tuple[str, str, Any]]:
    """Return the conditions that keep a query inside a scope."""
    return [
        (f"{table}project_id = :scope_project", "scope_project", scope.project_id),
        (f"{table}account_id = :scope_account", "scope_account", scope.account_id),
    ]


def accounts_in(scope: Scope) -> list[tuple[str, str, Any]]:
    """Return the conditions that keep a query of accounts inside a scope."""
    return [
        ("project_id = :scope_project", "scope_project", scope.project_id),
        ("id = :scope_account", "scope_account", scope.account_id),
    ]


def having(tx: Transaction, metadata: tuple[str, str] | None) -> list[tuple[str, str, Any]]:
    """Return the condition of what has a name and a value in its metadata, if one is given.

    The value is the parameter ``metadata_value``.
    """
    return [(tx.sql("has_metadata"), "metadata_name", metadata and metadata[0])]


def within(scope: Scope) -> dict[str, Any]:
    """Return the scope's parameters for a statement."""
    return {"project_id": scope.project_id, "account_id": scope.account_id}


def beginning(text: str) -> dict[str, str]:
    """Return the bounds between which all texts with a prefix lie."""
    return {"low": text, "high": text + "\U0010ffff"}


def containing(text: str) -> str:
    """Return the LIKE pattern of all that has a text in it, for what is compared in lower case."""
    escaped = re.sub(r"[\\%_]", r"\\\g<0>", text.lower())
    return f"%{escaped}%"


async def newest(
    tx: Transaction,
    name: str,
    wanted: Iterable[tuple[str, str, Any]],
    limit: int,
    read: Callable[[Row], Any],
    values: Values = NO_VALUES,
    by: str = "id",
) -> Page:
    """Return a page of the rows of a statement that are ``wanted``, newest first.

    ``values`` are further parameters of the conditions. The page has up to ``limit`` rows, and the
    id below which the next page starts, if there are more.
    """
    where, given = conditions(wanted)
    given = {**values, **given, "limit": limit + 1}
    found = await tx.rows(name, given, f"{where} ORDER BY {by} DESC LIMIT :limit")
    items = [read(row) for row in found[:limit]]
    return Page(items, found[limit - 1][0] if len(found) > limit else None)
