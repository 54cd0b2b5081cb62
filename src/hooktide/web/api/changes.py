"""``/v1/changes``: who changed what."""

from typing import Annotated

import msgspec

from hooktide.domain.ids import made_at, show
from hooktide.domain.model import Change
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant, maybe
from hooktide.web.operation import MANAGERS, Call, operation
from hooktide.web.pages import Listed, PageQuery


class ChangeOut(msgspec.Struct, kw_only=True):
    """Somebody changed something. `subject` is the id or name of what was changed."""

    id: str
    at: Instant
    who: Annotated[str, msgspec.Meta(description="A person's name, or which key it was.")]
    what: Annotated[str, msgspec.Meta(description="Noun and verb, like `endpoint.disable`.")]
    subject: str
    detail: str
    project: str | None
    account: str | None


class ChangeQuery(PageQuery):
    """Which changes."""

    subject: (
        Annotated[str, msgspec.Meta(description="Only those made to this id or name.")] | None
    ) = None


@operation("GET", "/v1/changes", who=MANAGERS, problems=("invalid_text",))
async def list_changes(call: Call, query: ChangeQuery) -> Listed[ChangeOut]:
    """List who changed what, newest first; kept for 400 days.

    Through the API, and on the pages; what an operator's command does to the database beside the
    server is not in it.
    """
    page = await call.services.store.list_changes(
        call.scope, call.before(query), query.limit, subject=query.subject
    )
    return call.listed(page, [await _shown(call, each) for each in page.items])


async def _shown(call: Call, change: Change) -> ChangeOut:
    return ChangeOut(
        id=show("chg", change.id),
        at=show_time(made_at(change.id)),
        who=change.who,
        what=change.what,
        subject=change.subject,
        detail=change.detail,
        project=await call.services.accounts.project_name(change.project_id),
        account=maybe("acc", change.account_id),
    )


OPERATIONS = (list_changes,)
