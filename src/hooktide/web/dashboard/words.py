"""What the pages say in passing: after an act, and of states."""

DID = {
    "project.made": "The project is made.",
    "project.changed": "The project is as its file says.",
    "project.same": "Nothing was different: the project is as its file says.",
    "project.removed": "The project is removed.",
    "operations.on": "It is told from now on. Its accounts are there in a moment, one for each "
    "project and all_projects; give them endpoints.",
    "type.saved": "The event type is saved.",
    "type.removed": "The event type is removed. What was published stays.",
    "plan.saved": "The plan is saved. It holds for what is sent from now on.",
    "plan.removed": "The plan is removed.",
    "account.added": "The account is added.",
    "account.changed": "The account is changed.",
    "account.removed": "The account is removed, with its endpoints and keys.",
    "endpoint.added": "The endpoint is added.",
    "endpoint.changed": "The endpoint is changed.",
    "endpoint.disabled": "The endpoint is disabled. What happens from now on is not kept for it.",
    "endpoint.enabled": "The endpoint is enabled. What it missed can be replayed.",
    "endpoint.removed": "The endpoint is removed.",
    "event.published": "The event is accepted, and its deliveries are on their way.",
    "replay.begun": "The replay has begun.",
    "replay.cancelled": "The replay makes nothing more. What it made stays.",
    "delivery.resent": "It is on its way again, as a new delivery.",
    "key.revoked": "The key is revoked, at once and for good.",
    "person.changed": "The role is changed, also where they are logged in.",
    "person.removed": "They cannot log in any more.",
    "password.set": "The password is set. Other sessions have ended.",
}
"""By what stands in the address after it was done."""
