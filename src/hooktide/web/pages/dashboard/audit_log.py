"""The audit log: who changed what, from where, and when."""

from collections.abc import Mapping
from typing import Any

import msgspec

from hooktide.domain.audit_log import AuditEntry
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View

PAGE_SIZE = 100
PLACES = {
    "acc": "/dashboard/accounts/",
    "ep": "/dashboard/endpoints/",
    "evt": "/dashboard/events/",
    "dlv": "/dashboard/deliveries?delivery=",
    "key": "/dashboard/search?q=",
    "rpl": "/dashboard/search?q=",
    "job": "/dashboard/jobs/",
}


@page("/audit-log")
async def audit_log(request: PageRequest) -> View:
    """``GET /dashboard/audit-log``; ``?target=`` the id or name of one thing."""
    target = request.query.text("target") or None
    listed = await request.services.store.list_audit_log(
        await request.within(), request.before("aud"), PAGE_SIZE, target=target
    )
    return request.show(
        "audit_log.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await request.projects(),
        place=_place,
        changed_names=_changed_names,
        shown=_shown,
    )


def _place(target: str) -> str:
    """Return where something is shown; empty: nowhere."""
    prefix, bar, digits = target.partition("_")
    found = PLACES.get(prefix, "") if bar and len(digits) == 16 and digits.isalnum() else ""
    return found + target if found else ""


def _changed_names(entry: AuditEntry) -> list[str]:
    return list({**entry.before, **entry.after})


def _shown(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if value in (None, ""):
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


PAGES = (audit_log,)
