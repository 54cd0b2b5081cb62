"""Projects: made from a provider that ships, changed by their file, deleted when they are empty."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hooktide.dialects import read_shipped, shipped
from hooktide.domain.delivery.backoff import delays
from hooktide.domain.errors import ConfigError, InvalidError, RefusedError
from hooktide.domain.model import KeyScope, Micros, Role
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.project.project import Plan, Project, fingerprint
from hooktide.domain.project.project_file import write_project
from hooktide.domain.project.reading import parse_project
from hooktide.store.base import ProjectRow
from hooktide.web.pages.framework.fields import Raw
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.web.urls import docs_url

PLAIN = "standard-webhooks"
"""The shipped project that belongs to no particular provider; it is offered first."""


@page("/projects")
async def projects(request: PageRequest) -> View:
    """``GET /dashboard/projects``."""
    rows = list((await request.projects()).values())
    silent = all(row.project.name != BUILT_IN for row in rows)
    return request.show("projects.html", rows=rows, may_tell=silent and request.everywhere)


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
async def new_project(request: PageRequest) -> View:
    """``GET /dashboard/new-project``: which provider; then ``?provider=``, its name."""
    _check_everywhere(request)
    wanted = request.form.text("provider")
    found = list(_providers())
    chosen = next((each for each in found if each.key == wanted), None)
    if chosen is None:
        return request.show("project_new.html", providers=found, chosen=None, name="")
    taken = {row.project.name for row in (await request.projects()).values()}
    return request.show(
        "project_new.html", providers=found, chosen=chosen, name=_free(chosen.key, taken)
    )


def _check_everywhere(request: PageRequest) -> None:
    if not request.everywhere:
        raise RefusedError(
            "forbidden", "only a user with access to all projects can do this", status=403
        )


def _free(name: str, taken: set[str]) -> str:
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project like one that ships; ``title`` empty: its name."""

    name: str
    title: str
    provider: str


@act("/new-project", back=new_project)
async def make_project(request: PageRequest, form: NewProject) -> View:
    """``POST /dashboard/new-project``: the project, and a key for the product, shown once."""
    _check_everywhere(request)
    name = form.name
    try:
        shipped_one = parse_project(read_shipped(form.provider))
    except ConfigError as error:
        raise InvalidError("invalid_provider", error.reason, pointer="/provider") from None
    wanted = replace(shipped_one, name=name, title=form.title or name)
    await request.services.projects.create(request.actor, request.scope, wanted)
    key, _ = await request.services.keys.create(
        request.actor, request.scope, KeyScope.PROJECT, "first key", name
    )
    return await request.go_once(f"/projects/{name}/made", key)


@page("/projects/{name}/made", who=Role.MEMBER)
async def project_made(request: PageRequest) -> View:
    """``GET /dashboard/projects/{name}/made``: its first key, once, and what comes next."""
    row = await _find(request)
    return request.show(
        "project_made.html",
        row=row,
        key=await request.once(),
        docs=docs_url(row.project, request.services.public_url),
        kind=next(iter(row.project.event_types), None),
    )


@act("/operational-events", back=projects)
async def make_operations(request: PageRequest) -> View:
    """``POST /dashboard/operational-events``: turn operational events on."""
    _check_everywhere(request)
    built_in = parse_project(read_shipped(BUILT_IN))
    await request.services.projects.create(request.actor, request.scope, built_in)
    return request.go(f"/projects/{BUILT_IN}", "operations.on")


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan, and how long each of its retries waits."""

    plan: Plan
    delays: tuple[Micros, ...]


@page("/projects/{name}")
async def project(request: PageRequest) -> View:
    """``GET /dashboard/projects/{name}``: all that it is."""
    row = await _find(request)
    return request.show(
        "project.html",
        row=row,
        project=row.project,
        plans=[
            ShownPlan(each, delays(row.project.retry, each.retries)) for each in row.project.plans
        ],
        docs=docs_url(row.project, request.services.public_url),
    )


async def _find(request: PageRequest) -> ProjectRow:
    return await request.services.store.get_project(request.scope, request.path("name"))


@page("/projects/{name}/file")
async def project_file(request: PageRequest) -> View:
    """``GET /dashboard/projects/{name}/file``: the project as TOML."""
    row = await _find(request)
    return request.show(
        "project_file.html",
        row=row,
        text=request.value("file", write_project(row.project)),
        checked=None,
        seen=fingerprint(row.project),
    )


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project's file; ``check``: only say what it would change."""

    file: Raw
    check: bool
    remove_event_types: bool


@act("/projects/{name}/file", back=project_file, max_body=MAX_LARGE_BODY)
async def update_project(request: PageRequest, form: ProjectFile) -> View:
    """``POST /dashboard/projects/{name}/file``: as the file says; ``check``: only say what."""
    row = await _find(request)
    name, text = row.project.name, form.file
    applied = await request.services.projects.apply(
        request.actor,
        request.scope,
        name,
        text,
        seen=request.seen,
        remove_event_types=form.remove_event_types,
        dry_run=form.check,
    )
    if form.check:
        return request.show(
            "project_file.html",
            row=row,
            text=text,
            checked=applied.changes,
            seen=request.seen or fingerprint(row.project),
        )
    if not applied.changes:
        return request.go(f"/projects/{name}", "project.same")
    return request.go(f"/projects/{name}", "project.updated")


@act("/projects/{name}/delete", back=project, who=Role.OWNER)
async def delete_project(request: PageRequest) -> View:
    """``POST /dashboard/projects/{name}/delete``."""
    row = await _find(request)
    name = row.project.name
    request.check_confirmed(name)
    await request.services.projects.delete(request.actor, request.scope, name)
    return request.go("/projects", "project.deleted")


PAGES = (
    projects,
    new_project,
    make_project,
    project_made,
    make_operations,
    project,
    project_file,
    update_project,
    delete_project,
)
