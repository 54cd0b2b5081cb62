"""The store's refusals, the same for each database."""

from collections.abc import Sequence

from hooktide.domain.counting import count_of
from hooktide.domain.errors import LimitError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import (
    MINUTE,
    SECOND,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Role,
    Scope,
    User,
)
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.stored_reasons import reason_words
from hooktide.domain.time.times import show_time

MAX_SECRETS = 5
"""Maximum active secrets, so that a header of signatures stays short."""


def project_in_use() -> RefusedError:
    """Refuse to delete a project that has accounts."""
    return RefusedError("project_in_use", "the project has accounts; delete them first")


def check_plans(accounts: Sequence[tuple[str, str]]) -> None:
    """Refuse to delete plans that accounts (reference, plan) are on.

    :raises RefusedError: there is such an account.
    """
    for reference, plan in accounts:
        raise RefusedError(
            "plan_in_use",
            f"account {reference!r} is on the plan {plan!r}; move it to another plan first",
        )


MAX_NAMED_TYPES = 20


def check_types(wanted: Sequence[tuple[str, int]]) -> None:
    """Refuse to delete event types that endpoints subscribe to by name; each with how many do.

    :raises RefusedError: there is such a type.
    """
    if not wanted:
        return
    named = [f"{name} ({count_of(count, 'endpoint')})" for name, count in sorted(wanted)]
    more = len(named) - MAX_NAMED_TYPES
    if more > 0:
        named[MAX_NAMED_TYPES:] = [f"{more:,} more"]
    raise RefusedError(
        "event_types_in_use",
        f"endpoints subscribe to event types that would be deleted: {', '.join(named)}. Nothing "
        f"was changed; to delete them anyway, confirm it: ?remove_event_types=true in the API, "
        "--remove-event-types for hooktide apply, the tick in the dashboard, "
        "remove_event_types=True for hooktide.library",
    )


def edit_conflict() -> RefusedError:
    """A project was changed by others each time an edit was about to be stored."""
    return RefusedError(
        "edit_conflict", "others are changing this project right now; try again in a moment"
    )


def check_enable(endpoint: Endpoint, scope: Scope) -> None:
    """Refuse an account to enable, or to test, what its provider disabled.

    :raises RefusedError: ``disabled_by_provider``.
    """
    if not endpoint.may_be_enabled(by_account=scope.account_id is not None):
        raise RefusedError(
            "disabled_by_provider",
            phrase(
                "the provider disabled this endpoint, and only they can enable it; ask their "
                "support"
            ),
            status=403,
        )


def account_exists() -> RefusedError:
    """Refuse an account whose reference is taken."""
    return RefusedError(
        "account_exists",
        "the project has an account with this reference; use that one, or another reference",
    )


def ambiguous_account() -> RefusedError:
    """Several projects have an account with the given reference."""
    return RefusedError(
        "ambiguous_account",
        "several projects have an account with this reference; name the project in the "
        "Hooktide-Project header, or give the account's acc_ id",
    )


def endpoint_reference_taken() -> RefusedError:
    """Refuse an endpoint whose reference is taken."""
    return RefusedError(
        "endpoint_reference_taken",
        phrase(
            "the account has an endpoint with this reference; use another one, or change that "
            "endpoint"
        ),
    )


def key_known() -> RefusedError:
    """Refuse a key that was revoked."""
    return RefusedError("key_known", "this key was in use before, and was revoked; make another")


def last_operator_key() -> RefusedError:
    """Refuse to revoke the last operator key."""
    return RefusedError(
        "last_operator_key",
        "this is the last active operator key, and only an operator key can create another; create "
        "one first, or revoke it with ?force=true",
    )


def user_exists() -> RefusedError:
    """Refuse a user name that is taken."""
    return RefusedError("user_exists", "another user has this name; choose another")


def check_owners(changed: User, left: int) -> None:
    """Refuse to leave no owner of all projects.

    :raises RefusedError: ``left`` is 0.
    """
    owned_all = changed.role is Role.OWNER and changed.project_id is None
    if owned_all and left == 0:
        raise RefusedError(
            "last_owner",
            f"{changed.name} is the last owner of all projects; make another user an owner first",
        )


def check_endpoints(count: int, limit: int | None) -> None:
    """Refuse another endpoint if the plan's limit is reached.

    :raises LimitError: it is.
    """
    if limit is not None and count >= limit:
        raise LimitError(
            phrase(
                "the account's plan allows {endpoints} and it has {count}; delete one, or move "
                "the account to a larger plan",
                endpoints=counted(limit, "endpoint"),
                count=count,
            ),
            limit=limit,
        )


def check_secrets(endpoint: Endpoint) -> None:
    """Refuse another secret if too many are active.

    :raises RefusedError: there are.
    """
    if len(endpoint.secrets) >= MAX_SECRETS:
        raise RefusedError(
            "too_many_secrets",
            phrase(
                "{count} secrets are active for this endpoint; wait until the oldest has expired",
                count=MAX_SECRETS,
            ),
        )


def check_enabled(endpoint: Endpoint) -> None:
    """Refuse to send to an endpoint that is disabled.

    :raises RefusedError: it is.
    """
    if not endpoint.enabled:
        raise RefusedError(
            "endpoint_disabled",
            phrase(
                "the endpoint is disabled ({reason}); enable it first",
                reason=reason_words(endpoint.disabled_reason),
            ),
        )


def endpoint_deleted() -> RefusedError:
    """Refuse to send to an endpoint that was deleted."""
    return RefusedError(
        "endpoint_deleted",
        phrase("the endpoint of this delivery was deleted; nothing can be sent to it"),
    )


def delivery_held() -> RefusedError:
    """Refuse to resend a delivery that was not sent yet."""
    return RefusedError(
        "delivery_held",
        phrase(
            "the delivery is held because the plan's hourly limit is reached; it is sent "
            "automatically when the limit allows"
        ),
    )


def check_not_erased(event: Event) -> None:
    """Refuse to send an event again whose payload was erased.

    :raises RefusedError: it was (410).
    """
    if event.erased_at is not None:
        raise RefusedError(
            "payload_erased",
            f"the payload was erased at {show_time(event.erased_at)}; publish the event again",
            status=410,
        )


def check_pending(delivery: Delivery) -> None:
    """Refuse to retry a delivery that waits for no attempt.

    :raises RefusedError: it has ended, or is held.
    """
    if delivery.state is DeliveryState.HELD:
        raise delivery_held()
    if delivery.state is not DeliveryState.PENDING:
        raise _delivery_ended(delivery, phrase("resend it to send its event again"))


def check_stopped(delivery: Delivery, reason: str) -> None:
    """Refuse to stop a delivery that has ended, but for one that was stopped for this reason.

    :raises RefusedError: it has.
    """
    if delivery.state is not DeliveryState.DISCARDED or delivery.reason != reason:
        raise _delivery_ended(delivery, phrase("there is nothing left to stop"))


_STATES = {
    DeliveryState.PENDING: phrase("pending"),
    DeliveryState.HELD: phrase("held"),
    DeliveryState.DELIVERED: phrase("delivered"),
    DeliveryState.FAILED: phrase("failed"),
    DeliveryState.DISCARDED: phrase("discarded"),
}


def _delivery_ended(delivery: Delivery, how: str) -> RefusedError:
    return RefusedError(
        "delivery_ended",
        phrase("the delivery is {state}; {how}", state=_STATES[delivery.state], how=how),
    )


def replay_running(replay_id: int) -> RefusedError:
    """Refuse a replay while another of the same endpoint is running."""
    return RefusedError(
        "replay_running",
        phrase(
            "replay {id} of this endpoint is running; wait until it is done, or cancel it",
            id=show("rpl", replay_id),
        ),
    )


def job_running(job_id: int) -> RefusedError:
    """Refuse a job on deliveries while another of the same scope is running."""
    return RefusedError(
        "job_running",
        phrase("job {id} is running; wait until it is done, or cancel it", id=show("job", job_id)),
    )


def hour_is_full(limit: int) -> LimitError:
    """Refuse a test when the plan's hourly limit is reached."""
    allowed = counted(limit, "delivery")
    return LimitError(
        phrase("the plan's {allowed} of this hour are used up; try again later", allowed=allowed),
        limit=limit,
        status=429,
        retry_after=MINUTE // SECOND,
    )


def check_bins(live: int, most: int) -> None:
    """Refuse another bin if there are too many.

    :raises RefusedError: there are.
    """
    if live >= most:
        raise RefusedError(
            "too_many_bins",
            phrase(
                "there are {live} bins of this scope, and {most} at most: use one of them, or "
                "delete one",
                live=live,
                most=most,
            ),
        )
