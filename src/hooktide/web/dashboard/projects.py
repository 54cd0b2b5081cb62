"""Projects: made from a provider that ships, changed by their file, removed when they are empty."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from starlette.responses import Response

from hooktide.actions.projects import ProjectFileError
from hooktide.dialects import read_shipped, shipped
from hooktide.domain.backoff import delays
from hooktide.domain.errors import ConfigError, InvalidError, NotFoundError, RefusedError
from hooktide.domain.model import KeyScope, Micros, Role, Scope
from hooktide.domain.operations import PROJECT as BUILT_IN
from hooktide.domain.project import Plan, Project, changes, parse_project
from hooktide.domain.project_file import write_project
from hooktide.store.base import ProjectRow
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.sure import check_sure
from hooktide.web.dashboard.visit import Visit
from hooktide.web.docs.pages import docs_url

PLAIN = "standard-webhooks"
"""The provider that is none."""


@page("/projects")
async def projects(visit: Visit) -> Response:
    """``GET /dashboard/projects``."""
    rows = list((await visit.projects()).values())
    silent = all(row.project.name != BUILT_IN for row in rows)
    return visit.show("projects.html", rows=rows, may_tell=silent and visit.everywhere)


# -- a new one -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provider:
    """A project that ships: what is said of it, and what it is like."""

    key: str
    about: str
    project: Project


def _providers() -> Iterator[Provider]:
    for key in sorted(shipped(), key=lambda each: (each != PLAIN, each)):
        text = read_shipped(key)
        project = parse_project(text)
        comment = [line[1:].strip() for line in text.split('name = "')[0].splitlines()]
        about = " ".join(comment).removeprefix(f"{project.title}: ")
        yield Provider(key, about[:1].upper() + about[1:], project)


@page("/new-project", who=Role.MEMBER)
async def new_project(visit: Visit) -> Response:
    """``GET /dashboard/new-project``: which provider; then ``?provider=``, its name."""
    _check_everywhere(visit)
    wanted = visit.form.text("provider")
    found = list(_providers())
    chosen = next((each for each in found if each.key == wanted), None)
    if chosen is None:
        return visit.show("project_new.html", providers=found, chosen=None, name="")
    taken = {row.project.name for row in (await visit.projects()).values()}
    return visit.show(
        "project_new.html", providers=found, chosen=chosen, name=_free(chosen.key, taken)
    )


def _check_everywhere(visit: Visit) -> None:
    if not visit.everywhere:
        raise RefusedError("forbidden", "this takes somebody who sees all projects", status=403)


def _free(name: str, taken: set[str]) -> str:
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


@act("/new-project", back=new_project)
async def make_project(visit: Visit) -> Response:
    """``POST /dashboard/new-project``: the project, and a key for the product."""
    _check_everywhere(visit)
    name, provider = visit.form.text("name"), visit.form.text("provider")
    await _check_free(visit, name)
    try:
        shipped_one = parse_project(read_shipped(provider))
    except ConfigError as error:
        raise InvalidError("invalid_provider", error.reason, pointer="/provider") from None
    title = visit.form.text("title") or name
    text = write_project(replace(shipped_one, name=name, title=title))
    applied = await visit.services.projects.apply(visit.scope, name, text)
    await visit.note("project.put", name, f"made from {provider}", Scope(project_id=applied.row.id))
    key, _ = await visit.services.keys.add(visit.scope, KeyScope.PROJECT, "first key", name)
    await visit.note("key.add", name, "first key, of the project", Scope(project_id=applied.row.id))
    return visit.show(
        "project_made.html",
        row=applied.row,
        key=key,
        docs=docs_url(applied.row.project, visit.desk.public_url),
        kind=next(iter(applied.row.project.event_types), None),
    )


async def _check_free(visit: Visit, name: str) -> None:
    try:
        await visit.services.store.get_project(Scope(), name)
    except NotFoundError:
        return
    raise InvalidError(
        "project_exists", "there is a project of this name; choose another", pointer="/name"
    )


@act("/operational-events", back=projects)
async def make_operations(visit: Visit) -> Response:
    """``POST /dashboard/operational-events``: have Hooktide tell of its own running."""
    _check_everywhere(visit)
    await _check_free(visit, BUILT_IN)
    text = read_shipped(BUILT_IN)
    applied = await visit.services.projects.apply(visit.scope, BUILT_IN, text)
    scope = Scope(project_id=applied.row.id)
    await visit.note("project.put", BUILT_IN, "operational events are told", scope)
    return visit.go(f"/projects/{BUILT_IN}", "operations.on")


# -- one of them -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan, and how long each of its retries waits."""

    plan: Plan
    delays: tuple[Micros, ...]


@page("/projects/{name}")
async def project(visit: Visit) -> Response:
    """``GET /dashboard/projects/{name}``: all that it is."""
    row = await _find(visit)
    return visit.show(
        "project.html",
        row=row,
        project=row.project,
        plans=[
            ShownPlan(each, delays(row.project.retry, each.retries)) for each in row.project.plans
        ],
        docs=docs_url(row.project, visit.desk.public_url),
    )


async def _find(visit: Visit) -> ProjectRow:
    return await visit.services.store.get_project(visit.scope, visit.path("name"))


@page("/projects/{name}/file")
async def project_file(visit: Visit) -> Response:
    """``GET /dashboard/projects/{name}/file``: the project as TOML."""
    row = await _find(visit)
    return visit.show(
        "project_file.html",
        row=row,
        text=visit.value("file", write_project(row.project)),
        checked=None,
    )


@act("/projects/{name}/file", back=project_file)
async def change_project(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/file``: as the file says; ``check``: only say what."""
    row = await _find(visit)
    name, text = row.project.name, visit.form.raw("file")
    if "check" in visit.form:
        return visit.show("project_file.html", row=row, text=text, checked=_checked(row, text))
    applied = await visit.services.projects.apply(visit.scope, name, text)
    if not applied.changes:
        return visit.go(f"/projects/{name}", "project.same")
    detail = "; ".join(applied.changes)
    await visit.note("project.put", name, detail, Scope(project_id=row.id))
    return visit.go(f"/projects/{name}", "project.changed")


def _checked(row: ProjectRow, text: str) -> list[str]:
    """Say what a file would change.

    :raises InvalidError: something in it is wrong.
    """
    try:
        return changes(row.project, parse_project(text))
    except ConfigError as error:
        raise ProjectFileError(error) from None


@act("/projects/{name}/remove", back=project, who=Role.OWNER)
async def remove_project(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/remove``."""
    row = await _find(visit)
    name = row.project.name
    check_sure(visit, name)
    await visit.services.projects.remove(visit.scope, name)
    await visit.note("project.remove", name)
    return visit.go("/projects", "project.removed")


PAGES = (
    projects,
    new_project,
    make_project,
    make_operations,
    project,
    project_file,
    change_project,
    remove_project,
)
