"""How lists are asked for and answered: conditions, whose rows, a page."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hooktide.domain.model import Scope
from hooktide.store.base import Page
from hooktide.store.rows import Row


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


def within(scope: Scope) -> dict[str, Any]:
    """Return the values that keep a statement inside a scope which asks for them."""
    return {"project_id": scope.project_id, "account_id": scope.account_id}


def beginning(text: str) -> dict[str, str]:
    """Return between what all is that begins with a text."""
    return {"low": text, "high": text + "\U0010ffff"}


def page(found: Sequence[Row], limit: int, read: Callable[[Row], Any]) -> Page:
    """Make a page of rows read newest first, one more than ``limit`` where there are more."""
    items = [read(row) for row in found[:limit]]
    return Page(items, found[limit - 1][0] if len(found) > limit else None)
