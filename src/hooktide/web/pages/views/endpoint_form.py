"""The form of an endpoint, to create and to update it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hooktide.actions.endpoint_fields import MAX_PATTERNS, too_many_types
from hooktide.actions.endpoints import EndpointSpec
from hooktide.actions.filters import Preview
from hooktide.domain.errors import InvalidError
from hooktide.domain.http.headers import MASK, MAX_HEADERS
from hooktide.domain.ids import show
from hooktide.domain.model import SECOND, Account, EndpointKind, Micros, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import Project, offered, plan_of
from hooktide.domain.project.schedule import default_schedule
from hooktide.domain.time.spans import read_delay, read_span
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.fields import OptionalText, OptionalWords, Words
from hooktide.web.pages.framework.forms import Form
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.framework.visible_text import shown
from hooktide.web.pages.guide.example import indented
from hooktide.web.pages.views.delivery import endpoint_name
from hooktide.web.pages.views.event_type_tree import ALL, event_type_tree, narrowed, simplest
from hooktide.web.pages.views.rate_form import read_rate
from hooktide.web.pages.views.secret import go_to_secret
from hooktide.wire.bins import NewBin

MAX_ALIKE = 50
"""Endpoints that are compared with a new one, of those that have its URL in theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointForm:
    """An endpoint form as submitted.

    ``patterns`` are written, ``event_types`` ticked. ``headers`` and ``metadata`` are lines like
    ``Name: value``; a text that does not fit there is quoted as in JSON. ``filter`` is JSON;
    ``rate_limit`` and ``burst`` are numbers, ``retry_delays`` and ``timeout_seconds`` spans.
    ``do``: ``bin`` for a test URL, ``try`` to try channels and filter. ``same_url``: another
    endpoint may have it.
    """

    url: str
    event_types: tuple[str, ...]
    patterns: Words
    name: str
    description: str
    headers: OptionalText
    filter: OptionalText
    channels: OptionalWords
    reference: OptionalText
    metadata: OptionalText
    rate_limit: OptionalText
    burst: OptionalText
    retry_delays: OptionalText
    timeout_seconds: OptionalText
    do: str
    same_url: bool

    def values(self, shown: Sequence[str]) -> dict[str, Any]:
        """Return the fields of ``EndpointSpec`` that the form has, which ``shown`` were ticked in.

        :raises InvalidError: too much is ticked, or a line is not a header.
        """
        types = (*self.event_types, *self.patterns)
        if len(types) > MAX_PATTERNS:
            raise too_many_types()
        given: dict[str, Any] = {
            "url": self.url,
            "event_types": simplest(narrowed(types, shown)),
            "name": self.name,
            "description": self.description,
        }
        if self.headers is not None:
            given["headers"] = _read_headers(self.headers)
        if self.metadata is not None:
            given["metadata"] = read_metadata(self.metadata)
        if self.rate_limit is not None:
            given |= read_rate(self.rate_limit, self.burst or "")
        if self.retry_delays is not None:
            given["retry_delays"] = _read_delays(self.retry_delays)
        if self.timeout_seconds is not None:
            given["timeout_seconds"] = _read_timeout(self.timeout_seconds)
        optional = {"filter": self.filter, "channels": self.channels, "reference": self.reference}
        return given | {name: value for name, value in optional.items() if value is not None}


def _read_delays(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    if text == "none":
        return ()
    spans = [
        _read_seconds("retry_delays", each, read_delay) for each in text.replace(",", " ").split()
    ]
    return tuple(span // SECOND for span in spans)


def _read_timeout(text: str) -> float | None:
    return _read_seconds("timeout_seconds", text, read_span) / SECOND if text else None


def _read_seconds(name: str, text: str, read: Callable[[str], Micros | None]) -> Micros:
    span = read(text if not text.isdigit() else f"{text}s")
    if span is None:
        detail = phrase("write it like 30s, 5m or 2h")
        raise InvalidError("invalid_schedule", detail, pointer=f"/{name}")
    return span


def _read_headers(text: str) -> dict[str, str]:
    found = _read_pairs(text, "headers")
    if len(found) > MAX_HEADERS:
        raise _wrong("headers", phrase("{count} headers at most", count=MAX_HEADERS))
    return found


def read_metadata(text: str) -> dict[str, str]:
    """Read metadata as it is filled in, a line for each name.

    :raises InvalidError: a line has no name or no colon, or a name comes twice.
    """
    return {name: _unquoted(value) for name, value in _read_pairs(text, "metadata").items()}


def metadata_lines(metadata: Iterable[tuple[str, str]]) -> str:
    """Write metadata as it is filled in."""
    return "\n".join(f"{name}: {_on_a_line(text)}" for name, text in metadata)


def _on_a_line(text: str) -> str:
    """Write a text of the metadata so that ``read_metadata`` returns it, quoted if necessary."""
    visible = shown(text) == text
    if visible and text == text.strip() and "\n" not in text and not text.startswith('"'):
        return text
    return json.dumps(text, ensure_ascii=not visible)


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.MsgspecError:
        return text


def _read_pairs(text: str, field: str) -> dict[str, str]:
    """Read lines with a name, a colon and a value."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not (name or colon):
            continue
        if not colon or not name:
            line = repr(line.strip()[:60])
            raise _wrong(field, phrase("write each as Name: value, not {line}", line=line))
        if name in found:
            raise _wrong(field, phrase("{name} is there twice", name=name[:60]))
        found[name] = value
    return found


def _wrong(field: str, detail: str) -> InvalidError:
    return InvalidError(f"invalid_{field}", detail, pointer=f"/{field}")


async def account_of(request: PageRequest) -> Account:
    """Return the account of the new endpoint: the session's, or the one in the path."""
    if request.scope.account_id is not None:
        return await request.services.directory.account(request.scope.account_id)
    return await request.services.store.get_account(request.scope, request.id("acc"))


async def new_endpoint(request: PageRequest) -> View:
    """Show the empty form."""
    return await _show_new(request)


async def _show_new(request: PageRequest, preview: Preview | None = None) -> View:
    url = request.value("url")
    account = await account_of(request)
    project = (await request.project(account.project_id)).project
    return request.show(
        "endpoint_new.html",
        account=account,
        endpoint=None,
        url=url,
        headers="",
        is_bin=url.startswith(f"{request.services.public_url}/bin/"),
        preview=_shown(preview),
        **_facts(request, project, account, (ALL,)),
    )


def _facts(
    request: PageRequest, project: Project, account: Account, types: tuple[str, ...]
) -> dict[str, Any]:
    """Return the event types that can be picked, with those that are, and what the plan allows."""
    kinds = offered(project, account.reference)
    tree = event_type_tree(kinds, request.values("event_types", types))
    product = formats.product_name(project)
    plan = plan_of(project, account.plan)
    return {
        "tree": tree,
        "any_types": bool(kinds),
        "product": product,
        "plan": plan,
        "usual": default_schedule(project, plan, None),
    }


async def _try_it(
    request: PageRequest, account: Account, form: EndpointForm, shown: Sequence[str]
) -> Preview:
    """Run channels and filter as filled in over the newest events of the types that were."""
    types = form.values(shown)["event_types"]
    scope = Scope(project_id=account.project_id, account_id=account.id)
    found = await request.services.filters.preview(
        scope, None, form.filter or "", types, form.channels or ()
    )
    request.keeps = True
    return found


def _shown(preview: Preview | None) -> dict[str, Any] | None:
    if preview is None:
        return None
    tried = [
        {
            "type": each.type,
            "accepted_at": show_time(each.accepted_at),
            "mismatch": each.mismatch,
            "apart": each.apart,
            "channels": each.channels,
        }
        for each in preview.tried
    ]
    return {"matched": preview.matched, "tried": tried}


async def create_endpoint(request: PageRequest, form: EndpointForm) -> View:
    """Create the endpoint, and show its secret once; or put in a test URL, or try it."""
    account = await account_of(request)
    if form.do == "bin":
        return await _fill_in_test_url(request, account)
    if form.do == "try":
        return await _show_new(request, await _try_it(request, account, form, (ALL,)))
    if not form.same_url:
        await _check_new_url(request, account, form.url)
    made, secret = await request.services.endpoints.create(
        request.actor, request.scope, show("acc", account.id), EndpointSpec(**form.values((ALL,)))
    )
    if made.kind is not EndpointKind.WEBHOOK:  # its messages are not signed
        return request.go(f"/endpoints/{show('ep', made.id)}", "endpoint.added")
    return await go_to_secret(request, made, secret)


async def _check_new_url(request: PageRequest, account: Account, url: str) -> None:
    """Check that no endpoint of the account has the same URL.

    :raises InvalidError: one has; the form then asks whether that is meant.
    """
    scope = Scope(project_id=account.project_id, account_id=account.id)
    listed = await request.services.store.list_endpoints(scope, None, MAX_ALIKE, url)
    for each in listed.items:
        if each.url == url:
            raise InvalidError(
                "invalid_url",
                phrase(
                    "the endpoint {name} has this URL already, and would get each event as well; "
                    "tick this to add another one all the same",
                    name=repr(endpoint_name(each)),
                ),
                pointer="/same_url",
            )


async def _fill_in_test_url(request: PageRequest, account: Account) -> View:
    scope = Scope(project_id=account.project_id, account_id=account.id)
    made = await request.services.bins.create(request.actor, scope, NewBin())
    url = f"{request.services.public_url}/bin/{made.token}"
    filled = Form([("url", url), *request.form.without("csrf", "do", "url")])
    return await request.go_again(request.place.removeprefix(request.session.base), filled)


@page("/endpoints/{id}/edit")
async def edit_endpoint(request: PageRequest) -> View:
    """Show the endpoint in its form."""
    return await _show_edit(request)


async def _show_edit(request: PageRequest, preview: Preview | None = None) -> View:
    endpoint = await request.services.store.get_endpoint(request.scope, request.id("ep"))
    account = await request.services.directory.account(endpoint.account_id)
    project = (await request.project(endpoint.project_id)).project
    return request.show(
        "endpoint_edit.html",
        endpoint=endpoint,
        url=request.value("url", endpoint.url),
        headers="\n".join(f"{name}: {MASK}" for name, _ in endpoint.headers),
        filter=indented(endpoint.filter) if endpoint.filter else "",
        metadata=metadata_lines(endpoint.metadata),
        preview=_shown(preview),
        **_facts(request, project, account, endpoint.event_types),
    )


@act("/endpoints/{id}/edit", back=edit_endpoint)
async def update_endpoint(request: PageRequest, form: EndpointForm) -> View:
    """Update the endpoint; or try its channels and filter."""
    store, number = request.services.store, request.id("ep")
    before = await store.get_endpoint(request.scope, number)
    if form.do == "try":
        account = await request.services.directory.account(before.account_id)
        tried = await _try_it(request, account, form, before.event_types)
        return await _show_edit(request, tried)
    changed = await request.services.endpoints.update(
        request.actor, request.scope, number, form.values(before.event_types)
    )
    dropped = form.headers is None and len(changed.headers) < len(before.headers)
    did = "endpoint.moved" if dropped else "endpoint.updated"
    return request.go(f"/endpoints/{show('ep', number)}", did)


PAGES = (edit_endpoint, update_endpoint)
