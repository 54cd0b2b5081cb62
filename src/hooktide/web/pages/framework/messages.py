"""The messages that pages show after an act."""

import re

from hooktide.domain.phrase import phrase

MESSAGES = {
    "project.updated": "Project updated.",
    "project.same": "No changes: the project already matches the file.",
    "project.deleted": "Project deleted.",
    "project.reindexing": "The project's older events are being indexed, the newest first.",
    "operations.on": "Operational events are on. Their accounts appear in a moment: one for each "
    "project, and all_projects. Add endpoints to them.",
    "type.saved": "Event type saved.",
    "type.deleted": "Event type deleted. Events that were published are kept.",
    "plan.saved": "Plan saved. It applies to everything that is sent from now on.",
    "plan.deleted": "Plan deleted.",
    "account.added": "Account added.",
    "account.updated": "Account updated.",
    "account.paced": phrase("Rate saved. It holds from the next request on."),
    "account.deleted": "Account deleted, with its endpoints and keys.",
    "portal_links.revoked": "All portal links of the account are revoked.",
    "row.retried": "The row will be tried again within a second.",
    "row.discarded": "Row discarded.",
    "endpoint.added": phrase("Endpoint added."),
    "endpoint.updated": phrase("Endpoint updated."),
    "endpoint.moved": phrase(
        "Endpoint updated. Its request headers were removed: their values were given "
        "for the previous URL."
    ),
    "endpoint.disabled": phrase(
        "Endpoint disabled. Events that happen from now on are not queued for it."
    ),
    "endpoint.enabled": phrase("Endpoint enabled. Events that it missed can be replayed."),
    "endpoint.resumed": phrase("Endpoint resumed. Waiting deliveries are being sent."),
    "endpoint.deleted": phrase("Endpoint deleted."),
    "event.published": "Event accepted. Its deliveries are being sent.",
    "event.held": "Event accepted. Its deliveries are held: the plan's hourly limit is reached.",
    "event.unsubscribed": "Event accepted. No enabled endpoint of the account subscribes to its "
    "type, so it is not sent.",
    "event.sent": "It is being sent to the endpoints that did not get it.",
    "event.sent_to_none": "Sent to none: each endpoint that is enabled and subscribed has it, or a "
    "replay of it is running.",
    "event.erased": phrase("The payload was erased."),
    "replay.cancelled": phrase("Replay cancelled. Deliveries already created are kept."),
    "job.cancelled": phrase("Job cancelled. What it has done stays."),
    "delivery.retried": phrase("The next attempt is being made now."),
    "delivery.stopped": phrase("Stopped. It is not sent any more."),
    "delivery.enabled_and_resent": phrase("Endpoint enabled, and sent again, as a new delivery."),
    "deliveries.retried": phrase("The pending ones are being retried now."),
    "deliveries.stopped": phrase("The pending and held ones were stopped."),
    "deliveries.resent": phrase("Sent again, as new deliveries."),
    "deliveries.none": phrase("No delivery was selected."),
    "delivery.resent": phrase("Sent again, as a new delivery."),
    "key.revoked": "Key revoked. It no longer works.",
    "user.updated": "Role changed. It applies at once.",
    "user.deleted": "User deleted. They can no longer log in.",
    "form.kept": phrase(
        "Your session ended before this form was sent. Nothing was saved: check the form "
        "and send it again."
    ),
    "password.set": "Password set. Other sessions have ended.",
}
"""By the value of ``did`` in the address."""
COUNTED = {
    "deliveries.resent_of": "{count} of {all} sent again, as new deliveries. The others were not: "
    "see whether they are held, or their endpoint is disabled or deleted.",
}
"""Likewise, of two numbers, which follow the name in the address."""
_COUNTED = re.compile(r"([a-z_.]+)\.([0-9]{1,4})\.([0-9]{1,4})")


def counted(name: str, some: int, of: int) -> str:
    """Return the ``did`` of a message that says how many of how many."""
    return f"{name}.{some}.{of}"


def said_of(did: str) -> str:
    """Return the message of a ``did``; empty: there is none."""
    if found := _COUNTED.fullmatch(did):
        return phrase(COUNTED.get(found[1], ""), count=int(found[2]), all=int(found[3]))
    return MESSAGES.get(did, "")
