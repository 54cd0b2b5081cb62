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
}


@page("/changes")
async def changes(request: PageRequest) -> View:
    """``GET /dashboard/changes``; ``?subject=`` the id or name of one thing."""
    subject = request.query.text("subject") or None
    listed = await request.services.store.list_audit_log(
        await request.within(), request.before("chg"), PAGE_SIZE, target=subject
    )
    return request.show(
        "changes.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await request.projects(),
        place=_place,
        changed_names=_changed_names,
        shown=_shown,
    )


def _place(subject: str) -> str:
    """Return where something is shown; empty: nowhere."""
    prefix, bar, digits = subject.partition("_")
    found = PLACES.get(prefix, "") if bar and len(digits) == 16 and digits.isalnum() else ""
    return found + subject if found else ""


def _changed_names(entry: AuditEntry) -> list[str]:
    return list({**entry.before, **entry.after})


def _shown(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if value in (None, ""):
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


PAGES = (changes,)
