"""What a store refuses, in words: the same ones from each database."""

from hooktide.domain.errors import LimitError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import MINUTE, SECOND, Endpoint, Person, Role

MOST_SECRETS = 5
"""Secrets in force at once, so that a header of signatures stays short."""


def project_in_use() -> RefusedError:
    """A project is to be removed that has accounts."""
    return RefusedError("project_in_use", "the project has accounts; remove them first")


def account_exists() -> RefusedError:
    """An account is to be added with a reference that another has."""
    return RefusedError(
        "account_exists",
        "the project has an account with this reference; use that one, or another reference",
    )


def ambiguous_account() -> RefusedError:
    """A reference was given that several projects know."""
    return RefusedError(
        "ambiguous_account",
        "several projects have an account with this reference; give its acc_ id",
    )


def key_known() -> RefusedError:
    """A key is to be added that was there before."""
    return RefusedError("key_known", "this key was in use before, and was revoked; make another")


def person_exists() -> RefusedError:
    """Somebody is to be added, or renamed, with a name that another has."""
    return RefusedError("person_exists", "somebody has this name; choose another")


def check_owners(changed: Person, left: int) -> None:
    """Refuse that an owner of all projects was the last one.

    :raises RefusedError: ``left`` are none.
    """
    owned_all = changed.role is Role.OWNER and changed.project_id is None
    if owned_all and left == 0:
        raise RefusedError(
            "last_owner",
            f"{changed.name} is the last who owns all projects; make somebody else an owner first",
        )


def check_endpoints(count: int, limit: int | None) -> None:
    """Refuse one more endpoint where the plan allows no more.

    :raises LimitError: it does not.
    """
    if limit is not None and count >= limit:
        raise LimitError(
            f"the account's plan allows {limit} endpoints and it has {count}; remove one, "
            "or move the account to a larger plan",
            limit=limit,
        )


def check_secrets(endpoint: Endpoint) -> None:
    """Refuse one more secret where many are in force.

    :raises RefusedError: there are.
    """
    if len(endpoint.secrets) >= MOST_SECRETS:
        raise RefusedError(
            "too_many_secrets",
            f"{MOST_SECRETS} secrets sign for this endpoint already; wait until the oldest "
            "has retired",
        )


def check_enabled(endpoint: Endpoint) -> None:
    """Refuse to send to an endpoint that is disabled.

    :raises RefusedError: it is.
    """
    if not endpoint.enabled:
        raise RefusedError(
            "endpoint_disabled",
            f"the endpoint is disabled ({endpoint.disabled_reason}); enable it first",
        )


def endpoint_removed() -> RefusedError:
    """A delivery is to be sent again whose endpoint is no more."""
    return RefusedError(
        "endpoint_removed",
        "the endpoint of this delivery was removed; nothing can be sent to it",
    )


def delivery_held() -> RefusedError:
    """A delivery is to be sent again that was not sent yet."""
    return RefusedError(
        "delivery_held",
        "the delivery is held back by the plan's hour and is sent by itself when there is room",
    )


def replay_running(replay_id: int) -> RefusedError:
    """A replay is to begin while another of the same endpoint is running."""
    return RefusedError(
        "replay_running",
        f"replay {show('rpl', replay_id)} of this endpoint is running; wait until it is done, or "
        "cancel it",
    )


def hour_is_full(limit: int) -> LimitError:
    """A test is to be sent, and the plan's hour is used up."""
    return LimitError(
        f"the plan's {limit} deliveries of this hour are used up; try again later",
        limit=limit,
        status=429,
        retry_after=MINUTE // SECOND,
    )


def check_bins(live: int, most: int) -> None:
    """Refuse one more bin where there are many.

    :raises RefusedError: there are.
    """
    if live >= most:
        raise RefusedError(
            "too_many_bins",
            f"there are {live} bins of this scope, and {most} at most: use one of them, or "
            "remove one",
        )
