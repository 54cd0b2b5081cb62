"""Checks an endpoint's fields as they are given, and turns them into what is stored.

An endpoint may keep what its plan no longer allows: a field that is given unchanged passes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from hooktide.actions.texts import check_text
from hooktide.domain.errors import Fault, InvalidError
from hooktide.domain.filtering.filter import read_filter
from hooktide.domain.http.address import Target, UrlPolicy, check_url
from hooktide.domain.http.headers import MASK, header_lines, refused_header
from hooktide.domain.labels import check_channels, check_metadata
from hooktide.domain.messages.chat import kind_of, shown_url
from hooktide.domain.messages.mail import check_mailto, is_mailto
from hooktide.domain.model import SECOND, Endpoint, EndpointKind, Micros
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.project import Plan, Project, check_patterns
from hooktide.domain.project.schedule import check_delays, check_timeout
from hooktide.domain.throttling.rate import check_rate
from hooktide.wire.endpoints import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_REFERENCE_LENGTH,
)

MAX_PATTERNS = 100
"""Maximum event types or patterns of an endpoint."""


def check_fields(
    given: Mapping[str, Any],
    project: Project,
    reference: str,
    plan: Plan,
    policy: UrlPolicy,
    old: Endpoint | None = None,
) -> dict[str, Any]:
    """Check the given fields, and return them as they are stored.

    ``reference`` is the account's, ``old`` the endpoint as it is (None: it is new).

    :raises InvalidError: a field is invalid.
    """
    checked: dict[str, Any] = dict(given)
    kind = checked.pop("kind", None)
    if "url" in given or kind is not None:
        checked |= _check_url(given.get("url"), kind, project, policy, old)
    if "event_types" in given:
        checked["event_types"] = _check_types(given["event_types"], project, reference)
    if "name" in given:
        checked["name"] = check_text(given["name"], "/name", MAX_NAME_LENGTH)
    if "description" in given:
        checked["description"] = check_text(
            given["description"], "/description", MAX_DESCRIPTION_LENGTH, lines=True
        )
    checked |= dict(_check_labels(given, plan, old))
    checked.pop("timeout_seconds", None)
    checked |= _check_pace(given, project, plan, old)
    url = checked.get("secret_url") or checked.get("url")
    moved = old is not None and url is not None and not _same_origin(old, url)
    if "headers" in given:
        checked["headers"] = _check_headers(given["headers"], old, moved, project)
    elif moved:
        checked["headers"] = ()
    return checked


def _check_url(
    text: str | None,
    kind: EndpointKind | None,
    project: Project,
    policy: UrlPolicy,
    old: Endpoint | None,
) -> dict[str, Any]:
    """Check a URL (None: the stored one) and the kind of endpoint.

    The shown form of an endpoint's URL stands for the stored URL. A chat's URL is stored as a
    secret, so changing the kind, which could expose it, requires the URL to be given again.
    """
    if old is not None and text in (None, old.url):
        if old.secret_url and kind not in (None, old.kind):
            raise InvalidError(
                "invalid_url",
                phrase(
                    "the stored URL is a secret of kind {kind}; to change the kind, give "
                    "the whole URL",
                    kind=old.kind,
                ),
                pointer="/url",
            )
        text, kind = old.address, kind or old.kind
    mail = text is not None and is_mailto(text) and project.name == BUILT_IN
    if mail or kind is EndpointKind.MAIL:
        return _check_mail(text or "", kind, project, policy)
    target = _read_url(text or "", policy)
    kind = kind_of(target, kind, policy)
    shown = shown_url(target.url, kind)
    return {"url": shown, "kind": kind, "secret_url": "" if shown == target.url else target.url}


def _check_mail(
    text: str, kind: EndpointKind | None, project: Project, policy: UrlPolicy
) -> dict[str, Any]:
    """Check a mail address: mail is for operational events only, never for customers."""
    if project.name != BUILT_IN:
        why = (
            "mail endpoints are for operational events only: use an account of the project "
            f"{BUILT_IN}"
        )
    elif not policy.mail:
        why = "this server has no mail relay; its operator can set one with --smtp-url"
    elif kind not in (None, EndpointKind.MAIL):
        why = "this is a mail address"
    else:
        return {"url": check_mailto(text), "kind": EndpointKind.MAIL, "secret_url": ""}
    raise InvalidError("invalid_kind", why, pointer="/kind")


def _read_url(text: str, policy: UrlPolicy) -> Target:
    try:
        target = check_url(text, policy)
    except InvalidError as error:
        raise _under("invalid_url", error, "/url") from None
    if target.path.endswith(f"/{MASK}"):
        raise InvalidError(
            "invalid_url",
            phrase("the secret is missing from this URL; give the whole URL"),
            pointer="/url",
        )
    return target


def _check_types(patterns: tuple[str, ...], project: Project, reference: str) -> tuple[str, ...]:
    if len(patterns) > MAX_PATTERNS:
        raise too_many_types()
    check_patterns(project, patterns, reference)
    return tuple(dict.fromkeys(patterns))


def too_many_types() -> InvalidError:
    """Return the error for an endpoint that names more than ``MAX_PATTERNS``."""
    return InvalidError(
        "too_many_event_types",
        phrase("{count} event types at most; use patterns like invoice.*", count=MAX_PATTERNS),
        pointer="/event_types",
    )


def _check_labels(
    given: Mapping[str, Any], plan: Plan, old: Endpoint | None
) -> Iterator[tuple[str, Any]]:
    """Check what decides which events it gets, and what the account attaches to it."""
    if "filter" in given:
        yield "filter", check_filter(given["filter"], plan, old)
    if "channels" in given:
        yield "channels", check_plan_channels(given["channels"], plan, old)
    if given.get("reference"):
        yield "reference", _check_endpoint_reference(given["reference"])
    if "metadata" in given:
        yield "metadata", _check_metadata(given["metadata"], plan, old)


def _check_endpoint_reference(text: str) -> str:
    if _LIKE_AN_ID.fullmatch(text):
        raise InvalidError(
            "invalid_reference",
            phrase("use characters that do not look like an ep_ id"),
            pointer="/reference",
        )
    return check_text(text, "/reference", MAX_REFERENCE_LENGTH)


_LIKE_AN_ID = re.compile(r"ep_[0-9a-f]{16}")


def check_filter(text: str, plan: Plan, old: Endpoint | None = None) -> str:
    """Check a filter (empty: none), and return it in the form in which it is stored.

    The ``old`` endpoint may keep a filter that its plan no longer allows.

    :raises InvalidError: ``invalid_filter``: it cannot be read, or the plan does not allow it.
    """
    if not text.strip():
        return ""
    found = read_filter(text)
    if found.conditions <= plan.filter_conditions or (old and old.filter == found.text):
        return found.text
    if not plan.filter_conditions:
        why = phrase("this account's plan has no filters; leave the filter out")
    else:
        why = phrase(
            "it has {conditions}; this account's plan allows {count}",
            conditions=counted(found.conditions, "condition"),
            count=plan.filter_conditions,
        )
    raise InvalidError("invalid_filter", why, pointer="/filter")


def check_plan_channels(
    channels: Sequence[str], plan: Plan, old: Endpoint | None = None
) -> tuple[str, ...]:
    """Check an endpoint's channels.

    The ``old`` endpoint may keep channels that its plan no longer allows.

    :raises InvalidError: ``invalid_channels``: one is malformed, or the plan does not allow them.
    """
    found = check_channels(channels)
    if len(found) <= plan.channels or (old and set(found) <= set(old.channels)):
        return found
    if not plan.channels:
        why = phrase("this account's plan has no channels; leave them out")
    else:
        why = phrase(
            "there are {count}; this account's plan allows {channels}",
            count=len(found),
            channels=counted(plan.channels, "channel"),
        )
    raise InvalidError("invalid_channels", why, pointer="/channels")


def _check_metadata(
    metadata: Mapping[str, str], plan: Plan, old: Endpoint | None
) -> tuple[tuple[str, str], ...]:
    """Check an endpoint's metadata; the ``old`` endpoint may keep what it has.

    :raises InvalidError: ``invalid_metadata``: it is malformed, or the plan does not allow it.
    """
    if old and dict(old.metadata) == metadata:
        return old.metadata
    if metadata and not plan.metadata_bytes:
        raise InvalidError(
            "invalid_metadata",
            phrase("this account's plan has no metadata; leave it out"),
            pointer="/metadata",
        )
    return check_metadata(metadata, plan.metadata_bytes)


def _check_pace(
    given: Mapping[str, Any], project: Project, plan: Plan, old: Endpoint | None
) -> dict[str, Any]:
    """Check how often and how fast an endpoint is sent to, and return it as it is stored."""
    checked: dict[str, Any] = {}
    if "rate_limit" in given or "burst" in given:
        checked |= _check_rate(given, old, plan.endpoint_rate_limit)
    if "retry_delays" in given:
        checked["retry_delays"] = _check_delays(given["retry_delays"], project, plan, old)
    if "timeout_seconds" in given:
        checked["timeout"] = _check_timeout(given["timeout_seconds"], plan, old)
    return checked


def _check_rate(
    given: Mapping[str, Any], old: Endpoint | None, allowed: int | None
) -> dict[str, int | None]:
    """Check an endpoint's rate; the ``old`` one may keep what its plan no longer allows.

    Without a rate there is no burst.
    """
    before = (old.rate_limit, old.burst) if old else (None, None)
    rate = given.get("rate_limit", before[0])
    kept = before[1] if rate is not None and "rate_limit" not in given else None
    burst = given.get("burst", kept)
    if (rate, burst) != before:
        check_rate(rate, burst, allowed)
    return {"rate_limit": rate, "burst": burst}


def _check_delays(
    given: Sequence[int] | None, project: Project, plan: Plan, old: Endpoint | None
) -> tuple[Micros, ...] | None:
    """Check an endpoint's delays; the ``old`` one may keep what its plan no longer allows."""
    if given is None:
        return None
    same = old is not None and old.retry_delays == tuple(each * SECOND for each in given)
    return old.retry_delays if old and same else check_delays(given, project, plan)


def _check_timeout(given: float | None, plan: Plan, old: Endpoint | None) -> Micros | None:
    if given is None:
        return None
    same = old is not None and old.timeout is not None and old.timeout / SECOND == given
    return old.timeout if old and same else check_timeout(given, plan)


def _same_origin(old: Endpoint, url: str) -> bool:
    """Whether a canonical URL, as ``Target`` writes it, has the old scheme, host and port."""
    return urlsplit(url)[:2] == urlsplit(old.address)[:2]


def _check_headers(
    headers: Mapping[str, str], old: Endpoint | None, moved: bool, project: Project
) -> tuple[tuple[str, str], ...]:
    stored = {} if old is None else {name.lower(): value for name, value in old.headers}
    try:
        pairs = tuple(
            (name, _unmask(name, value, stored, moved)) for name, value in headers.items()
        )
        header_lines(pairs, project.dialect.header_names)
    except InvalidError as error:
        raise _under("invalid_headers", error, "/headers") from None
    return pairs


def _unmask(name: str, value: str, stored: Mapping[str, str], moved: bool) -> str:
    if value != MASK:
        return value
    if name.lower() not in stored:
        why = phrase(
            "{mask} keeps a stored value, but there is none for {name}; send the value itself",
            mask=MASK,
            name=name[:64],
        )
    elif moved:
        why = phrase(
            "the stored value of {name} was given for another scheme, host or port and is not "
            "sent to a new one; give the value, or leave the header out",
            name=name,
        )
    else:
        return stored[name.lower()]
    raise refused_header(name, "masked_header", why)


def _under(code: str, error: InvalidError, pointer: str) -> InvalidError:
    """Report a rule's own code inside a problem with another code."""
    found = InvalidError(code, error.detail)
    found.faults = tuple(
        Fault(fault.pointer or pointer, fault.code, fault.detail) for fault in error.faults
    )
    return found
