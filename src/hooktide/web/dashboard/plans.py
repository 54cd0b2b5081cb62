"""Plans: what the accounts on them may use."""

from dataclasses import replace

from starlette.responses import Response

from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.model import Micros, Scope
from hooktide.domain.project import Plan, Project
from hooktide.domain.project_file import write_project
from hooktide.domain.spans import read_span
from hooktide.store.base import ProjectRow
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit


@page("/projects/{name}/plan")
async def plan(visit: Visit) -> Response:
    """``GET /dashboard/projects/{name}/plan``: ``?plan=`` one of them; without, a new one."""
    row = await _find(visit)
    name = visit.query.text("plan")
    return visit.show("plan.html", row=row, plan=_plan(row.project, name) if name else None)


async def _find(visit: Visit) -> ProjectRow:
    return await visit.services.store.get_project(visit.scope, visit.path("name"))


def _plan(project: Project, name: str) -> Plan:
    for each in project.plans:
        if each.name == name:
            return each
    raise NotFoundError("plan")


@act("/projects/{name}/plan", back=plan)
async def put_plan(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/plan``: add one, or change it."""
    row = await _find(visit)
    old = visit.query.text("plan")
    wanted = _filled_in(visit, _plan(row.project, old).name if old else visit.form.text("name"))
    plans = row.project.plans
    if old:
        plans = tuple(wanted if each.name == old else each for each in plans)
    elif any(each.name == wanted.name for each in plans):
        raise InvalidError("plan_exists", "there is a plan of this name", pointer="/name")
    else:
        plans = (*plans, wanted)
    project = replace(row.project, plans=plans)
    if "default" in visit.form:
        project = replace(project, default_plan=wanted.name)
    return await _apply(visit, row, project, "plan.saved")


@act("/projects/{name}/plan/remove", back=plan)
async def remove_plan(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/plan/remove``: one that nobody is on."""
    row = await _find(visit)
    gone = _plan(row.project, visit.query.text("plan"))
    left = tuple(each for each in row.project.plans if each is not gone)
    if gone.name == row.project.default_plan or not left:
        raise InvalidError("default_plan", "make another plan the default one first")
    return await _apply(visit, row, replace(row.project, plans=left), "plan.removed")


async def _apply(visit: Visit, row: ProjectRow, project: Project, did: str) -> Response:
    """Make the project so, through its file: what is checked there is checked here."""
    text = write_project(project)
    applied = await visit.services.projects.apply(visit.scope, project.name, text)
    if applied.changes:
        detail = "; ".join(applied.changes)
        await visit.note("project.put", project.name, detail, Scope(project_id=row.id))
    return visit.go(f"/projects/{project.name}", did)


def _filled_in(visit: Visit, name: str) -> Plan:
    return Plan(
        name=name,
        endpoints=_limit(visit, "endpoints"),
        deliveries_per_hour=_limit(visit, "deliveries_per_hour"),
        retries=_number(visit, "retries"),
        timeout=_span(visit),
    )


def _limit(visit: Visit, name: str) -> int | None:
    return _number(visit, name) if visit.form.text(name) else None


def _number(visit: Visit, name: str) -> int:
    text = visit.form.text(name)
    if not (text.isascii() and text.isdigit() and len(text) < LONGEST_NUMBER):
        raise InvalidError("invalid_number", "write a whole number", pointer=f"/{name}")
    return int(text)


def _span(visit: Visit) -> Micros:
    found = read_span(visit.form.text("timeout"))
    if found is None:
        raise InvalidError("invalid_span", "write it like 10s", pointer="/timeout")
    return found


LONGEST_NUMBER = 10

PAGES = (plan, put_plan, remove_plan)
