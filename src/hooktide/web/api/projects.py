"""``/v1/projects``: a project is what its file says."""

from typing import Annotated

import msgspec

from hooktide.domain.ids import show
from hooktide.domain.model import SECOND
from hooktide.domain.project import Plan
from hooktide.domain.times import show_time
from hooktide.store.base import ProjectRow
from hooktide.web.api.shapes import Instant
from hooktide.web.docs.pages import docs_url
from hooktide.web.operation import MANAGERS, OPERATOR, TOML, Call, operation


class ProjectApplied(msgspec.Struct):
    """A project, and what applying its file changed, in lines; none: nothing."""

    name: str
    id: str
    mode: str
    changes: list[str]


class PlanOut(msgspec.Struct):
    """What an account on this plan may use; null: as much as it likes."""

    name: str
    endpoints: int | None
    deliveries_per_hour: int | None
    retries: int
    timeout_seconds: float


class ProjectOut(msgspec.Struct):
    """A project."""

    name: str
    id: str
    title: str
    mode: Annotated[str, msgspec.Meta(description="`live`, or `test`: only test events.")]
    plans: list[PlanOut]
    default_plan: str
    event_types: list[str]
    docs_url: Annotated[
        str | None,
        msgspec.Meta(description="Where its customers read how it works; null: nowhere."),
    ]
    created_at: Instant
    changed_at: Instant


class Projects(msgspec.Struct):
    """All projects that the key reaches, by name."""

    items: list[ProjectOut]


@operation(
    "PUT",
    "/v1/projects/{name}",
    who=MANAGERS,
    problems=("project_name_differs", "plan_in_use"),
    body_kind=TOML,
)
async def put_project(call: Call, name: str, body: str) -> ProjectApplied:
    """Make a project as its file says.

    The body is the project file (TOML). The same file again changes nothing; a wrong one changes
    nothing either. A project's key may change its own project, only an operator's adds one.
    """
    applied = await call.services.projects.apply(call.scope, name, body)
    row = applied.row
    return ProjectApplied(name, show("prj", row.id), row.project.mode.value, applied.changes)


@operation("GET", "/v1/projects", who=MANAGERS)
async def list_projects(call: Call) -> Projects:
    """List the projects."""
    rows = await call.services.store.list_projects(call.scope)
    return Projects([_shown(row, call.services.public_url) for row in rows])


@operation("GET", "/v1/projects/{name}", who=MANAGERS)
async def get_project(call: Call, name: str) -> ProjectOut:
    """Get a project."""
    row = await call.services.store.get_project(call.scope, name)
    return _shown(row, call.services.public_url)


@operation("DELETE", "/v1/projects/{name}", who=OPERATOR, status=204, problems=("project_in_use",))
async def remove_project(call: Call, name: str) -> None:
    """Remove a project that has no accounts."""
    await call.services.projects.remove(call.scope, name)


def _shown(row: ProjectRow, public_url: str) -> ProjectOut:
    project = row.project
    return ProjectOut(
        name=project.name,
        id=show("prj", row.id),
        title=project.title,
        mode=project.mode.value,
        plans=[_plan(plan) for plan in project.plans],
        default_plan=project.default_plan,
        event_types=[kind.name for kind in project.event_types],
        docs_url=docs_url(project, public_url),
        created_at=show_time(row.created_at),
        changed_at=show_time(row.changed_at),
    )


def _plan(plan: Plan) -> PlanOut:
    return PlanOut(
        name=plan.name,
        endpoints=plan.endpoints,
        deliveries_per_hour=plan.deliveries_per_hour,
        retries=plan.retries,
        timeout_seconds=plan.timeout / SECOND,
    )


OPERATIONS = (put_project, list_projects, get_project, remove_project)
