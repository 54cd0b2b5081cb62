"""What the pages say in passing: after an act, and of states."""

MESSAGES = {
    "project.changed": "The project is as its file says.",
    "project.same": "Nothing was different: the project is as its file says.",
    "project.removed": "The project is removed.",
    "operations.on": "Operational events are sent from now on. Their accounts appear in a moment, "
    "one for each project and all_projects; add endpoints to them.",
    "type.saved": "The event type is saved.",
    "type.removed": "The event type is removed. What was published stays.",
    "plan.saved": "The plan is saved. It holds for what is sent from now on.",
    "plan.removed": "The plan is removed.",
    "account.added": "The account is added.",
    "account.changed": "The account is changed.",
    "account.removed": "The account is removed, with its endpoints and keys.",
    "portal_links.revoked": "All portal links made so far are revoked.",
    "row.retried": "The row will be tried again within a second.",
    "row.discarded": "The row is discarded.",
    "endpoint.added": "The endpoint is added.",
    "endpoint.changed": "Endpoint updated.",
    "endpoint.moved": "Endpoint updated. Its request headers were removed: their values were given "
    "for the previous URL.",
    "endpoint.disabled": "The endpoint is disabled. What happens from now on is not kept for it.",
    "endpoint.enabled": "The endpoint is enabled. What it missed can be replayed.",
    "endpoint.resumed": "The endpoint is resumed. What waited is being sent.",
    "endpoint.removed": "The endpoint is removed.",
    "event.published": "The event is accepted, and its deliveries are on their way.",
    "replay.cancelled": "Replay cancelled. Deliveries already created are kept.",
    "delivery.resent": "It is on its way again, as a new delivery.",
    "key.revoked": "The key is revoked, at once and for good.",
    "person.changed": "The role is changed, also where they are logged in.",
    "person.removed": "They cannot log in any more.",
    "password.set": "The password is set. Other sessions have ended.",
}
"""By what stands in the address after it was done."""
