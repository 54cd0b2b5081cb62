"""Projects: made as their file says, and their event types changed one at a time."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hooktide.domain.compose import check_event
from hooktide.domain.errors import ConfigError, InvalidError, NotFoundError, RefusedError
from hooktide.domain.message import check_wording
from hooktide.domain.model import Micros, Scope
from hooktide.domain.operations import PROJECT as BUILT_IN
from hooktide.domain.payload import check_payload, check_schema, validator
from hooktide.domain.project import EventType, Project, SchemaPolicy, changes, parse_project
from hooktide.store.base import ProjectRow, Store

ACCOUNTS_AT_ONCE = 500


class ProjectFileError(InvalidError):
    """A project file is wrong: at this line and key (None and empty where there is none)."""

    def __init__(self, error: ConfigError) -> None:
        where = "" if error.line is None else f"line {error.line}: "
        what = f"{error.key}: {error.reason}" if error.key else error.reason
        super().__init__("invalid_project", where + what)
        self.line = error.line
        self.key = error.key
        self.reason = error.reason


@dataclass(frozen=True, slots=True)
class Applied:
    """A project as it is now, and what that changed, in lines."""

    row: ProjectRow
    changes: list[str]


class Projects:
    """Changes projects, one change at a time, so that none undoes another."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock
        self._changing = asyncio.Lock()

    async def apply(self, scope: Scope, name: str, text: str) -> Applied:
        """Make a project as its file (TOML) says; nothing is changed if anything is wrong.

        :raises ProjectFileError: the file is wrong.
        :raises InvalidError: the file is for a project of another name.
        :raises NotFoundError: the scope is another project.
        :raises RefusedError: accounts are on a plan that would go.
        """
        async with self._changing:
            old = await self._find(scope, name)
            new = _parse(text)
            if new.name != name:
                raise InvalidError(
                    "project_name_differs",
                    f"the file says name = {new.name!r}; the path says {name[:100]!r}",
                )
            lines = changes(old.project if old else None, new)
            if old is None or lines:
                await self._check_plans(old, new)
                old = await self._store.put_project(new, self._clock())
            return Applied(old, lines)

    async def _find(self, scope: Scope, name: str) -> ProjectRow | None:
        try:
            return await self._store.get_project(scope, name)
        except NotFoundError:
            if scope.project_id is not None:
                raise
            return None

    async def _check_plans(self, old: ProjectRow | None, new: Project) -> None:
        """Refuse to take a plan away from the accounts that are on it."""
        if old is None:
            return
        gone = {plan.name for plan in old.project.plans} - {plan.name for plan in new.plans}
        before: int | None = None
        while gone:
            page = await self._store.list_accounts(
                Scope(project_id=old.id), before, ACCOUNTS_AT_ONCE
            )
            for account in page.items:
                if account.plan in gone:
                    raise RefusedError(
                        "plan_in_use",
                        f"account {account.reference!r} is on the plan {account.plan!r}; move it "
                        "to another plan first",
                    )
            if page.next_before is None:
                return
            before = page.next_before

    async def remove(self, scope: Scope, name: str) -> None:
        """Remove a project that has no accounts; of the built-in one, the accounts as well.

        :raises RefusedError: it has accounts.
        """
        row = await self._store.get_project(scope, name)
        if name == BUILT_IN:
            await self._remove_accounts(row.id)
        await self._store.remove_project(row.id, self._clock())

    async def _remove_accounts(self, project_id: int) -> None:
        within = Scope(project_id=project_id)
        while page := (await self._store.list_accounts(within, None, 100)).items:
            for account in page:
                await self._store.remove_account(within, account.id, self._clock())

    # -- event types ---------------------------------------------------------------------------

    async def put_type(self, project_id: int, kind: EventType) -> EventType:
        """Add an event type, or replace the one of its name.

        :raises InvalidError: something about it is wrong.
        """
        async with self._changing:
            project = (await self._store.get_project_by_id(project_id)).project
            _check_type(project, kind)
            names = [each.name for each in project.event_types]
            if kind.name in names:
                types = tuple(
                    kind if each.name == kind.name else each for each in project.event_types
                )
            else:
                types = (*project.event_types, kind)
            await self._store.put_project(replace(project, event_types=types), self._clock())
            return kind

    async def remove_type(self, project_id: int, name: str) -> None:
        """Remove an event type; what was published stays.

        :raises NotFoundError: the project has no such event type.
        """
        async with self._changing:
            project = (await self._store.get_project_by_id(project_id)).project
            kind = find_type(project.event_types, name)
            types = tuple(each for each in project.event_types if each is not kind)
            await self._store.put_project(replace(project, event_types=types), self._clock())


def find_type(types: Iterable[EventType], name: str) -> EventType:
    """Find an event type by name.

    :raises NotFoundError: there is none of this name.
    """
    for kind in types:
        if kind.name == name:
            return kind
    raise NotFoundError("event type")


def _parse(text: str) -> Project:
    try:
        return parse_project(text)
    except ConfigError as error:
        raise ProjectFileError(error) from None


def _check_type(project: Project, kind: EventType) -> None:
    """Check an event type against its own schema and the project's envelope."""
    if not _NAME.fullmatch(kind.name):
        raise InvalidError(
            "invalid_event_type", 'name an event type like "invoice.paid" (128 characters at most)'
        )
    try:
        if kind.schema is not None:
            validator(kind.schema)
    except ConfigError as error:
        raise InvalidError("invalid_event_type", error.reason, pointer="/schema") from None
    _check_wording(kind)
    example = kind.example.encode()
    try:
        check_payload(example)
        check_event(project.dialect, kind.name, kind.transition, example)
        if project.schema_policy is not SchemaPolicy.OFF:
            check_schema(kind, example)
    except InvalidError as error:
        pointer = "/transition" if error.code == "transition_missing" else "/example"
        raise InvalidError("invalid_event_type", error.detail, pointer=pointer) from None


def _check_wording(kind: EventType) -> None:
    try:
        check_payload(kind.example.encode())
        check_wording(kind.message, kind.example)
    except InvalidError as error:
        raise InvalidError("invalid_event_type", error.detail, pointer="/example") from None
    except ConfigError as error:
        pointer = f"/message/{error.key}"
        raise InvalidError("invalid_event_type", error.reason, pointer=pointer) from None


_NAME = re.compile(r"(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
