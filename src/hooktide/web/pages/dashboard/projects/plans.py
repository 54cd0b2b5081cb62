"""Plans: what the accounts on them may use."""

from dataclasses import dataclass, replace

from hooktide.actions.projects import Applied, find_plan
from hooktide.domain.project.project import Plan, fingerprint
from hooktide.web.pages.framework.fields import Limit, Number, OptionalTimeSpan, TimeSpan
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View


@page("/projects/{name}/plan")
async def plan(request: PageRequest) -> View:
    """``GET /dashboard/projects/{name}/plan``: ``?plan=`` one of them; without, a new one."""
    row = await request.services.store.get_project(request.scope, request.path("name"))
    name = request.query.text("plan")
    found = find_plan(row.project, name) if name else None
    return request.show("plan.html", row=row, plan=found, seen=found and fingerprint(found))


@dataclass(frozen=True, slots=True)
class PlanForm:
    """A plan as it is filled in; ``default``: accounts are on it where nothing else is said."""

    name: str
    endpoints: Limit
    deliveries_per_hour: Limit
    retries: Number
    timeout: TimeSpan
    filter_conditions: Limit
    channels: Limit
    metadata_bytes: Limit
    rate_limit: Limit
    endpoint_rate_limit: Limit
    max_timeout: OptionalTimeSpan
    default: bool

    def plan(self, known: Plan) -> Plan:
        """Return the plan; what the form does not show stays as it is."""
        return replace(
            known,
            endpoints=self.endpoints,
            deliveries_per_hour=self.deliveries_per_hour,
            retries=self.retries,
            timeout=self.timeout,
            filter_conditions=_or(self.filter_conditions, known.filter_conditions),
            channels=_or(self.channels, known.channels),
            metadata_bytes=_or(self.metadata_bytes, known.metadata_bytes),
            rate_limit=self.rate_limit,
            endpoint_rate_limit=self.endpoint_rate_limit,
            max_timeout=_or(self.max_timeout, known.max_timeout),
        )


def _or(given: int | None, known: int) -> int:
    return known if given is None else given


@act("/projects/{name}/plan", back=plan)
async def put_plan(request: PageRequest, form: PlanForm) -> View:
    """``POST /dashboard/projects/{name}/plan``: add one, or change it."""
    old = request.query.text("plan")
    row = await request.services.store.get_project(request.scope, request.path("name"))
    known = find_plan(row.project, old) if old else Plan(name=form.name)
    applied = await request.services.projects.put_plan(
        request.actor,
        request.scope,
        request.path("name"),
        form.plan(known),
        new=not old,
        default=form.default,
        seen=request.seen,
    )
    return await _done(request, applied, "plan.saved")


@act("/projects/{name}/plan/delete", back=plan)
async def delete_plan(request: PageRequest) -> View:
    """``POST /dashboard/projects/{name}/plan/delete``: delete a plan without accounts."""
    applied = await request.services.projects.delete_plan(
        request.actor,
        request.scope,
        request.path("name"),
        request.query.text("plan"),
        seen=request.seen,
    )
    return await _done(request, applied, "plan.deleted")


async def _done(request: PageRequest, applied: Applied, did: str) -> View:
    name = applied.row.project.name
    return request.go(f"/projects/{name}", did)


PAGES = (plan, put_plan, delete_plan)
