"""Projects: edited with optimistic locking."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import msgspec

from hooktide.domain.audit_log import Action, project_detail, project_snapshot
from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.domain.model import Micros, Scope
from hooktide.domain.project.project import Project
from hooktide.store import refusals, rows
from hooktide.store.base import EditedProject, ProjectEdit, ProjectRow
from hooktide.store.journal.audit_log import record_change
from hooktide.store.rows import Row
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction

MAX_TRIES = 20
"""Each lost attempt means that another process stored an edit meanwhile."""


class DryRunError(HooktideError):
    """Rolls back the transaction of a dry run once everything is checked."""


class Projects(Repository):
    """The store's methods for projects.

    Edits within one process are serialized, so that they do not use up each other's attempts.
    """

    @cached_property
    def _editing(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def edit_project(
        self,
        scope: Scope,
        name: str,
        edit: ProjectEdit,
        now: Micros,
        action: Action | None = None,
        *,
        remove_event_types: bool = True,
        dry_run: bool = False,
    ) -> EditedProject:
        """Update or create a project; there is no other way to do either.

        ``edit`` gets the current project, and its result is stored only if the project is still
        unchanged. Otherwise ``edit`` is called again with the new version, so that no edit undoes
        another, in any process. ``remove_event_types``: also those that endpoints name (patterns
        like ``invoice.*`` do not count). ``dry_run``: everything is checked and nothing stored;
        ``after`` is the would-be result, with the id 0 for a new project.

        :raises NotFoundError: the scope is one project, and this is not it.
        :raises RefusedError: ``plan_in_use``: accounts are on a plan that would be deleted;
        ``event_types_in_use``: endpoints name event types that would be deleted; ``edit_conflict``:
        the project was changed each time.
        """
        async with self._editing:
            return await self._edit(scope, name, edit, now, action, remove_event_types, dry_run)

    async def _edit(
        self,
        scope: Scope,
        name: str,
        edit: ProjectEdit,
        now: Micros,
        action: Action | None,
        remove_event_types: bool,
        dry_run: bool,
    ) -> EditedProject:
        for _ in range(MAX_TRIES):
            before = await self._find_project(scope, name)
            project = edit(None if before is None else before.project)
            if before is not None and before.project == project:
                return EditedProject(before, before)
            detailed = _with_detail(action, before, project)
            try:
                after = await self._save_project(
                    before,
                    project,
                    now,
                    detailed,
                    remove_event_types=remove_event_types,
                    dry_run=dry_run,
                )
            except DryRunError:
                return EditedProject(before, _unstored(before, project, now))
            if after is not None:
                return EditedProject(before, after)
        raise refusals.edit_conflict()

    async def _find_project(self, scope: Scope, name: str) -> ProjectRow | None:
        try:
            return await self.get_project(scope, name)
        except NotFoundError:
            if scope.project_id is not None:
                raise
            return None

    @writes
    async def _save_project(
        self,
        tx: Transaction,
        before: ProjectRow | None,
        project: Project,
        now: Micros,
        action: Action | None,
        *,
        remove_event_types: bool,
        dry_run: bool,
    ) -> ProjectRow | None:
        """Store a project if it is unchanged (None: it did not exist); return None if it changed.

        :raises DryRunError: it could be stored, and this is a dry run.
        :raises RefusedError: ``plan_in_use``, or ``event_types_in_use``.
        """
        values = {"config": rows.json_text(project), "now": now}
        if before is None:
            id_ = await tx.value(
                "create_project", values | {"id": tx.ids(now), "name": project.name}
            )
        else:
            known = {"id": before.id, "version": before.version}
            id_ = await tx.value("update_project", values | known)
        if id_ is None:
            return None
        if gone := _removed_plans(before, project):
            plans = {"project_id": id_, "plans": gone}
            refusals.check_plans(await tx.rows("accounts_on_plans", plans))
        if not remove_event_types and (gone := _removed_types(before, project)):
            types = {"project_id": id_, "types": gone}
            refusals.check_types(await tx.rows("types_wanted", types))
        if dry_run:
            raise DryRunError
        tx.writer.project_changed()
        tx.effects.changed.append(("project", id_))
        if project.index != (() if before is None else before.project.index):
            await self._index_by(tx, id_, project.index, now)
        had = None if before is None else project_snapshot(id_, before.project)
        await record_change(tx, action, had, project_snapshot(id_, project), now)
        return await read_project(tx, id_)

    async def _index_by(
        self, tx: Transaction, project_id: int, paths: Sequence[str], now: Micros
    ) -> None:
        """Have events indexed by these paths from now on (``store.deliveries.search``)."""
        upto = self.settled(now)
        if self.one_writer:
            upto = await tx.value("last_event_of_project", {"project_id": project_id}) or 0
        before = {"project_id": project_id, "before": upto + 1}
        has_older = await tx.row("has_event_before", before) is not None
        values = {
            "project_id": project_id,
            "paths": rows.json_text(paths),
            "upto": upto,
            "complete_from": upto + 1 if has_older else 0,
        }
        await tx.run("set_index", values)

    async def put_project(
        self, project: Project, now: Micros, action: Action | None = None
    ) -> ProjectRow:
        """Set a project's configuration, regardless of its version."""
        return (
            await self.edit_project(Scope(), project.name, lambda _: project, now, action)
        ).after

    @reads
    async def get_project(self, tx: Transaction, scope: Scope, name: str) -> ProjectRow:
        """Find a project by name."""
        values = {"name": name, "id": scope.project_id}
        where = " AND name = :name AND id = coalesce(:id, id)"
        return _project_row(await tx.one("project", "projects", values, where))

    @reads
    async def get_project_by_id(self, tx: Transaction, project_id: int) -> ProjectRow:
        """Find a project by id."""
        return await read_project(tx, project_id)

    @reads
    async def list_projects(self, tx: Transaction, scope: Scope) -> Sequence[ProjectRow]:
        """Return the projects, by name."""
        where = ' AND id = coalesce(:id, id) ORDER BY name COLLATE "C"'
        return [
            _project_row(row) for row in await tx.rows("projects", {"id": scope.project_id}, where)
        ]

    @writes
    async def delete_project(
        self, tx: Transaction, project_id: int, now: Micros, action: Action | None = None
    ) -> None:
        """Delete a project that has no accounts, with its keys and its users.

        :raises RefusedError: it has accounts.
        """
        await tx.rows("lock_project", {"id": project_id})
        old = await read_project(tx, project_id)
        where = " WHERE project_id = :id AND removed_at IS NULL LIMIT 1"
        if await tx.rows("accounts", {"id": project_id}, where):
            raise refusals.project_in_use()
        values = {"id": project_id, "now": now}
        await tx.run("delete_project", values)
        await tx.run("revoke_keys_of_project", values)
        await tx.run("delete_users_of_project", values)
        tx.effects.changed.append(("project", project_id))
        tx.effects.changed.append(("key", 0))
        await record_change(tx, action, project_snapshot(old.id, old.project), None, now)


async def read_project(tx: Transaction, project_id: int) -> ProjectRow:
    """Find a project by id.

    :raises NotFoundError: it does not exist.
    """
    found = await tx.one("project", "projects", {"id": project_id}, " AND id = :id")
    return _project_row(found)


async def hold_project(tx: Transaction, project_id: int) -> ProjectRow:
    """Find a project, and lock it against changes and deletion until the commit.

    :raises NotFoundError: it does not exist.
    """
    await tx.rows("hold_project", {"id": project_id})
    return await read_project(tx, project_id)


def _unstored(before: ProjectRow | None, project: Project, now: Micros) -> ProjectRow:
    """Return the row that a dry run would have stored; a new project has the id 0."""
    if before is None:
        return ProjectRow(id=0, project=project, created_at=now, updated_at=now, version=0)
    return msgspec.structs.replace(before, project=project)


def _with_detail(
    action: Action | None, before: ProjectRow | None, project: Project
) -> Action | None:
    """Return the action with a summary of a project's changes as its detail."""
    if action is None or action.detail:
        return action
    old = None if before is None else before.project
    return replace(action, detail=project_detail(old, project))


def _removed_plans(before: ProjectRow | None, project: Project) -> list[str]:
    had = () if before is None else before.project.plans
    return sorted({plan.name for plan in had} - {plan.name for plan in project.plans})


def _removed_types(before: ProjectRow | None, project: Project) -> list[str]:
    had = () if before is None else before.project.event_types
    return sorted({kind.name for kind in had} - {kind.name for kind in project.event_types})


def _project_row(row: Row) -> ProjectRow:
    """Read ``id, config, created_at, changed_at, version``."""
    return ProjectRow(
        id=row[0],
        project=rows.read_project_json(row[1]),
        created_at=row[2],
        updated_at=row[3],
        version=row[4],
    )
