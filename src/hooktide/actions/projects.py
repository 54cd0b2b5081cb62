"""Projects: applied from their files; their plans and event types edited one at a time."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from hooktide.actions.event_type_rules import check_alone, check_type
from hooktide.domain.audit_log import Action, Actor
from hooktide.domain.errors import ConfigError, InvalidError, NotFoundError, RefusedError
from hooktide.domain.model import Micros, Scope
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.project.project import (
    MAX_EVENT_TYPES,
    MAX_PLANS,
    EventType,
    Plan,
    Project,
    changes,
    fingerprint,
)
from hooktide.domain.project.project_file import write_project
from hooktide.domain.project.reading import parse_project
from hooktide.store.base import ProjectEdit, ProjectRow
from hooktide.store.contract import Store

T = TypeVar("T", Plan, EventType)

READ_TIMEOUT = 10.0
"""Maximum seconds for reading a project file."""


class ProjectFileError(InvalidError):
    """A project file is invalid; ``errors`` are all problems found, in the file's order."""

    def __init__(self, error: ConfigError) -> None:
        where = "" if error.line is None else f"line {error.line}: "
        what = f"{error.key}: {error.reason}" if error.key else error.reason
        more = f" (and {len(error.others)} more)" if error.others else ""
        super().__init__("invalid_project", where + what + more)
        self.errors = (error, *error.others)


@dataclass(frozen=True, slots=True)
class Applied:
    """A project in its new state, and the changes, one per line."""

    row: ProjectRow
    changes: list[str]


class Projects:
    """Updates projects.

    An edit is applied to the stored project in the transaction that stores it, so concurrent edits
    of different parts are all kept. ``seen`` is the fingerprint (``domain.project.project``) of the
    version that an editor showed: if that part has changed since, the edit is refused; None: the
    edit applies to any version.
    """

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def apply(
        self,
        actor: Actor,
        scope: Scope,
        name: str,
        text: str,
        *,
        seen: str | None = None,
        remove_event_types: bool = False,
        dry_run: bool = False,
    ) -> Applied:
        """Apply a project file (TOML); nothing is changed if it has any error.

        ``remove_event_types``: event types missing from the file are deleted even if endpoints
        subscribe to them by name. ``dry_run``: return what would change, or raise why it would be
        refused, and change nothing; a new project has the id 0.

        :raises ProjectFileError: the file is invalid.
        :raises InvalidError: the file is for a project of another name.
        :raises NotFoundError: the scope is another project.
        :raises RefusedError: accounts are on a plan that would be deleted (``plan_in_use``),
        endpoints subscribe to event types that would be deleted (``event_types_in_use``), or the
        project was changed since ``seen`` (``edit_conflict``).
        """
        project = await read_file(text)
        if project.name != name:
            raise InvalidError(
                "project_name_differs",
                f"the file says name = {project.name!r}; the path says {name[:100]!r}",
            )
        return await self.put(
            actor,
            scope,
            project,
            seen=seen,
            remove_event_types=remove_event_types,
            dry_run=dry_run,
        )

    async def put(
        self,
        actor: Actor,
        scope: Scope,
        project: Project,
        *,
        seen: str | None = None,
        remove_event_types: bool = False,
        dry_run: bool = False,
    ) -> Applied:
        """Apply a project file that was read already; raises what ``apply`` does."""

        def edit(old: Project | None) -> Project:
            _check_seen("the project", old, seen)
            return project

        action = actor.does("project.put")
        return await self._edit(action, scope, project.name, edit, remove_event_types, dry_run)

    async def create(self, actor: Actor, scope: Scope, project: Project) -> Applied:
        """Create a project.

        :raises InvalidError: ``project_exists``: the name is taken.
        """

        def edit(old: Project | None) -> Project:
            if old is not None:
                raise InvalidError(
                    "project_exists",
                    "a project with this name exists; choose another",
                    pointer="/name",
                )
            return _checked(project)

        return await self._edit(actor.does("project.put"), scope, project.name, edit)

    async def delete(self, actor: Actor, scope: Scope, name: str) -> None:
        """Delete a project without accounts; the built-in project's accounts are deleted with it.

        :raises RefusedError: it has accounts.
        """
        row = await self._store.get_project(scope, name)
        if name == BUILT_IN:
            await self._remove_accounts(actor, row.id)
        await self._store.delete_project(row.id, self._clock(), actor.does("project.delete"))

    async def _remove_accounts(self, actor: Actor, project_id: int) -> None:
        within = Scope(project_id=project_id)
        while page := (await self._store.list_accounts(within, None, 100)).items:
            for account in page:
                await self._store.delete_account(
                    within, account.id, self._clock(), actor.does("account.delete")
                )

    async def _edit(
        self,
        action: Action,
        scope: Scope,
        name: str,
        edit: ProjectEdit,
        remove_event_types: bool = False,
        dry_run: bool = False,
    ) -> Applied:
        edited = await self._store.edit_project(
            scope,
            name,
            edit,
            self._clock(),
            action,
            remove_event_types=remove_event_types,
            dry_run=dry_run,
        )
        before = None if edited.before is None else edited.before.project
        return Applied(edited.after, changes(before, edited.after.project))

    async def put_plan(
        self,
        actor: Actor,
        scope: Scope,
        name: str,
        plan: Plan,
        *,
        new: bool,
        default: bool = False,
        seen: str | None = None,
    ) -> Applied:
        """Add a plan to a project (``new``), or update the one with its name.

        ``default``: make it the plan of new accounts that name none.

        :raises InvalidError: ``plan_exists``, or a field is invalid.
        :raises NotFoundError: there is no such project or plan.
        :raises RefusedError: ``edit_conflict``.
        """

        def edit(old: Project | None) -> Project:
            project = _existing(old)
            if not new:
                _check_seen("the plan", find_plan(project, plan.name), seen)
            elif any(each.name == plan.name for each in project.plans):
                raise InvalidError("plan_exists", "a plan with this name exists", pointer="/name")
            plans = _put(project.plans, plan)
            default_plan = plan.name if default else project.default_plan
            edited = replace(project, plans=plans, default_plan=default_plan)
            return _checked_edit(project, edited, plan)

        return await self._edit(actor.does("project.put"), scope, name, edit)

    async def delete_plan(
        self, actor: Actor, scope: Scope, name: str, plan: str, *, seen: str | None = None
    ) -> Applied:
        """Delete a plan that no account is on.

        :raises InvalidError: it is the default plan.
        :raises NotFoundError: there is no such project or plan.
        :raises RefusedError: ``plan_in_use`` or ``edit_conflict``.
        """

        def edit(old: Project | None) -> Project:
            project = _existing(old)
            gone = find_plan(project, plan)
            _check_seen("the plan", gone, seen)
            if gone.name == project.default_plan:
                raise InvalidError("default_plan", "make another plan the default first")
            plans = tuple(each for each in project.plans if each is not gone)
            return _checked_edit(project, replace(project, plans=plans))

        return await self._edit(actor.does("project.put"), scope, name, edit)

    async def put_type(
        self,
        actor: Actor,
        scope: Scope,
        name: str,
        kind: EventType,
        *,
        new: bool = False,
        seen: str | None = None,
    ) -> Applied:
        """Add an event type to a project (``new``), or replace the one with its name.

        :raises InvalidError: ``type_exists``, or a field is invalid.
        :raises NotFoundError: there is no such project.
        :raises RefusedError: ``too_many_event_types`` or ``edit_conflict``.
        """

        kind = await asyncio.to_thread(check_alone, kind)  # a large file takes a while

        def edit(old: Project | None) -> Project:
            project = _existing(old)
            known = next((each for each in project.event_types if each.name == kind.name), None)
            if new and known is not None:
                raise InvalidError(
                    "type_exists", "an event type with this name exists", pointer="/name"
                )
            _check_seen("the event type", known, seen)
            if known is None and len(project.event_types) >= MAX_EVENT_TYPES:
                raise RefusedError(
                    "too_many_event_types",
                    f"a project has at most {MAX_EVENT_TYPES:,} event types; delete an unused one "
                    f"first",
                )
            check_type(project, kind)
            return replace(project, event_types=_put(project.event_types, kind))

        return await self._edit(actor.does("event_type.put", kind.name), scope, name, edit)

    async def delete_type(
        self,
        actor: Actor,
        scope: Scope,
        name: str,
        kind: str,
        *,
        seen: str | None = None,
        remove_event_types: bool = False,
    ) -> Applied:
        """Delete an event type; published events stay.

        ``remove_event_types``: even if endpoints subscribe to it by name.

        :raises NotFoundError: there is no such project, or it has no such event type.
        :raises RefusedError: ``event_types_in_use`` or ``edit_conflict``.
        """

        def edit(old: Project | None) -> Project:
            project = _existing(old)
            gone = find_type(project.event_types, kind)
            _check_seen("the event type", gone, seen)
            types = tuple(each for each in project.event_types if each is not gone)
            return replace(project, event_types=types)

        action = actor.does("event_type.delete", kind)
        return await self._edit(action, scope, name, edit, remove_event_types)


def _existing(project: Project | None) -> Project:
    if project is None:
        raise NotFoundError("project")
    return project


def _check_seen(what: str, thing: Project | Plan | EventType | None, seen: str | None) -> None:
    """Refuse an edit based on an outdated version (None: the edit names no version).

    :raises RefusedError: ``edit_conflict``.
    """
    if seen is not None and (thing is None or fingerprint(thing) != seen):
        raise RefusedError(
            "edit_conflict",
            f"{what} was changed after this page was opened. Nothing was saved: open the page "
            "again to see the change, then make yours",
        )


def _put(things: tuple[T, ...], thing: T) -> tuple[T, ...]:
    """Return the items with the one of this name replaced, or with this one added."""
    put = [thing if each.name == thing.name else each for each in things]
    if thing not in put:
        put.append(thing)
    return tuple(put)


def _checked(project: Project) -> Project:
    """Return a project that satisfies all rules of its file.

    :raises ProjectFileError: it does not.
    """
    _parse(write_project(project))
    return project


def _checked_edit(before: Project, after: Project, plan: Plan | None = None) -> Project:
    """Return an edited project that violates no rule that it did not violate before.

    A part that was stored under other limits does not prevent the edit of another part. ``plan`` is
    the one that was edited, and must be valid in any case.

    :raises ProjectFileError: it newly violates a rule.
    """
    try:
        return _checked(after)
    except ProjectFileError as error:
        known = _wrong_with(before)
        fresh = [each for each in error.errors if (each.key, each.reason) not in known]
        if fresh:
            first, *others = fresh
            raise ProjectFileError(
                ConfigError(first.reason, key=first.key, line=first.line, others=tuple(others))
            ) from None
        if len(after.plans) > max(len(before.plans), MAX_PLANS):
            raise
    if plan is not None:
        _checked(Project(name="x", title="x", plans=(plan,), default_plan=plan.name))
    return after


def _wrong_with(project: Project) -> set[tuple[str, str]]:
    """Return the errors in a project's file as keys and reasons."""
    try:
        _checked(project)
    except ProjectFileError as error:
        return {(each.key, each.reason) for each in error.errors}
    return set()


def find_plan(project: Project, name: str) -> Plan:
    """Find a plan by name.

    :raises NotFoundError: there is no plan with this name.
    """
    for plan in project.plans:
        if plan.name == name:
            return plan
    raise NotFoundError("plan")


def find_type(types: Iterable[EventType], name: str) -> EventType:
    """Find an event type by name.

    :raises NotFoundError: there is no event type with this name.
    """
    for kind in types:
        if kind.name == name:
            return kind
    raise NotFoundError("event type")


async def read_file(text: str) -> Project:
    """Read a project file off the event loop: a large one takes a second.

    :raises ProjectFileError: it is invalid, or takes longer than ``READ_TIMEOUT``.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            return await asyncio.to_thread(_parse, text)
    except TimeoutError:
        raise ProjectFileError(
            ConfigError(f"not read within {READ_TIMEOUT:.0f} seconds; make it smaller")
        ) from None


def _parse(text: str) -> Project:
    try:
        return parse_project(text)
    except ConfigError as error:
        raise ProjectFileError(error) from None
