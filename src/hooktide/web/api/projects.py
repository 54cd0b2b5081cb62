"""``/v1/projects``: projects, each defined by its file."""

from hooktide.actions.deliveries.event_search import ShownIndex
from hooktide.domain.ids import show
from hooktide.domain.model import SECOND
from hooktide.domain.project.project import Plan
from hooktide.store.base import ProjectRow
from hooktide.web.operations.operation import MANAGERS, OPERATOR, TOML, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.web.urls import docs_url
from hooktide.wire import projects as wire


@operation(
    "PUT",
    "/v1/projects/{name}",
    who=MANAGERS,
    problems=("project_name_differs", "plan_in_use", "event_types_in_use", "edit_conflict"),
    body_kind=TOML,
    max_body=MAX_LARGE_BODY,
)
async def put_project(
    call: Call, name: str, query: wire.ApplyQuery, body: str
) -> wire.ProjectApplied:
    """Create or update a project from its file.

    The body is the project file (TOML). Applying the same file again changes nothing, and an
    invalid file changes nothing either. A project's key may update its own project; only an
    operator's key can create one.

    Event types missing from the file are removed. If endpoints subscribe to them by name, that
    requires `remove_event_types=true`; a pattern like `invoice.*` does not count.

    With `dry_run=true` the response is the same, including errors, but nothing changes.
    """
    applied = await call.services.projects.apply(
        call.actor,
        call.scope,
        name,
        body,
        remove_event_types=query.remove_event_types,
        dry_run=query.dry_run,
    )
    row = applied.row
    id = show("prj", row.id) if row.id else None
    return wire.ProjectApplied(name, id, row.project.mode.value, applied.changes)


@operation("GET", "/v1/projects", who=MANAGERS)
async def list_projects(call: Call) -> wire.Projects:
    """List the projects."""
    rows = await call.services.store.list_projects(call.scope)
    return wire.Projects([_shown(row, call.services.public_url) for row in rows])


@operation("GET", "/v1/projects/{name}", who=MANAGERS)
async def get_project(call: Call, name: str) -> wire.Project:
    """Get a project."""
    row = await call.services.store.get_project(call.scope, name)
    return _shown(row, call.services.public_url)


@operation("DELETE", "/v1/projects/{name}", who=OPERATOR, status=204, problems=("project_in_use",))
async def delete_project(call: Call, name: str) -> None:
    """Delete a project that has no accounts."""
    await call.services.projects.delete(call.actor, call.scope, name)


@operation("GET", "/v1/projects/{name}/index", who=MANAGERS, problems=("not_indexed",))
async def get_search_index(call: Call, name: str) -> wire.SearchIndex:
    """Get how far a project's events are indexed for search."""
    return _index(await call.services.event_search.index(call.scope, name))


@operation(
    "POST",
    "/v1/projects/{name}/reindex",
    who=MANAGERS,
    status=202,
    problems=("not_indexed",),
)
async def reindex(call: Call, name: str) -> wire.SearchIndex:
    """Index a project's older events, by the paths that it names now.

    It runs in the background; if it runs already, it goes on. `GET /v1/projects/{name}/index`
    returns the progress.
    """
    return _index(await call.services.event_search.reindex(call.actor, call.scope, name))


def _index(found: ShownIndex) -> wire.SearchIndex:
    index = found.index
    return wire.SearchIndex(
        project=found.row.project.name,
        paths=list(index.paths),
        state=found.state,
        complete_since=instant(found.complete_since),
        events=index.filled,
        started_at=instant(index.started_at),
        ended_at=instant(index.ended_at),
    )


def _shown(row: ProjectRow, public_url: str) -> wire.Project:
    project = row.project
    return wire.Project(
        name=project.name,
        id=show("prj", row.id),
        title=project.title,
        mode=project.mode.value,
        plans=[_plan(plan) for plan in project.plans],
        default_plan=project.default_plan,
        event_types=[kind.name for kind in project.event_types],
        header_prefix=project.dialect.header_prefix if project.dialect.standard_headers else None,
        docs_url=docs_url(project, public_url),
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
    )


def _plan(plan: Plan) -> wire.Plan:
    return wire.Plan(
        name=plan.name,
        endpoints=plan.endpoints,
        deliveries_per_hour=plan.deliveries_per_hour,
        retries=plan.retries,
        timeout_seconds=plan.timeout / SECOND,
        changes_per_second=plan.changes_per_second,
        tests_per_second=plan.tests_per_second,
        filter_conditions=plan.filter_conditions,
        channels=plan.channels,
        metadata_bytes=plan.metadata_bytes,
        rate_limit=plan.rate_limit,
        endpoint_rate_limit=plan.endpoint_rate_limit,
        max_timeout_seconds=plan.max_timeout / SECOND,
    )


OPERATIONS = (
    put_project,
    list_projects,
    get_project,
    delete_project,
    get_search_index,
    reindex,
)
