"""``/v1/audit-log``: what was done, by whom and when."""

from hooktide.domain.audit_log import AuditEntry
from hooktide.domain.ids import made_at, show
from hooktide.web.operations.operation import MANAGERS, Call, operation
from hooktide.web.operations.response_values import instant, optional_id
from hooktide.wire import access as wire
from hooktide.wire.fields import Listed


@operation("GET", "/v1/audit-log", who=MANAGERS, problems=("invalid_text",))
async def list_audit_log(call: Call, query: wire.AuditLogQuery) -> Listed[wire.AuditLogEntry]:
    """List the audit log, newest first. Entries are kept for 400 days.

    Every change is one entry, stored with the change itself: through the API, in the portal, on the
    dashboard, from a command or an application, and what Hooktide does automatically, such as
    disabling an endpoint.
    """
    after, before = call.bounds(query)
    page = await call.services.store.list_audit_log(
        call.scope, before, query.limit, target=query.target, after=after
    )
    return call.listed(page, [await _shown(call, each) for each in page.items])


async def _shown(call: Call, entry: AuditEntry) -> wire.AuditLogEntry:
    return wire.AuditLogEntry(
        id=show("aud", entry.id),
        at=instant(made_at(entry.id)),
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        detail=entry.detail,
        source=entry.source,
        address=entry.address,
        before=dict(entry.before),
        after=dict(entry.after),
        project=await call.services.accounts.project_name(entry.project_id),
        account=optional_id("acc", entry.account_id),
    )


OPERATIONS = (list_audit_log,)
