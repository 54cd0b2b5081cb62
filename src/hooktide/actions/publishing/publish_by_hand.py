"""Publishing by hand, from the dashboard, with an entry in the audit log."""

from hooktide.actions.audit_log import AuditLog
from hooktide.actions.publishing.publish import Publisher, Unknown
from hooktide.domain.audit_log import Actor, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Scope
from hooktide.store.base import Accepted
from hooktide.wire.events import EventIn


async def publish_by_hand(
    publisher: Publisher, audit_log: AuditLog, actor: Actor, account: Account, event: EventIn
) -> Accepted:
    """Accept an event for an account, and record in the audit log who published it.

    :raises NotFoundError: the account was deleted meanwhile.
    """
    accepted = await publisher.publish(Scope(project_id=account.project_id), event)
    if isinstance(accepted, Unknown):
        raise NotFoundError("account")
    target = show("evt", accepted.event_id)
    action = actor.does("event.publish", target, f"{event.type}, by hand")
    await audit_log.note(action, snapshot(account))
    return accepted
