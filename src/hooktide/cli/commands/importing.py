"""``hooktide import``: endpoints from another sender, with secrets that receivers already have.

First everything is read and checked; then, unless it is a dry run, endpoints are added one by one.
Existing endpoints, by account and URL, are left as they are, so it can be repeated, after an error
or every day until the last customer has moved.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter
from rich.text import Text

from hooktide.cli.foreign import (
    CONVOY,
    SVIX,
    Found,
    Source,
    from_convoy,
    from_csv,
    from_svix,
)
from hooktide.cli.options import DEFAULTS, Flag, Options
from hooktide.cli.output import line_of, note, print_json, print_rows
from hooktide.client import Client, NotFoundError, ProblemError
from hooktide.domain.counting import count_of
from hooktide.domain.dialect.signing import read_secret
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.project.project import wants
from hooktide.domain.throttling.rate import check_rate
from hooktide.wire.accounts import Account
from hooktide.wire.projects import Plan, Project

Words: TypeAlias = Annotated[str, Parameter(show_default=False)]


def import_endpoints(  # a parameter an option
    source: Literal["svix", "convoy", "csv"],
    file: Words = "",
    *,
    source_url: Words = "",
    source_token: Annotated[
        str, Parameter(env_var="HOOKTIDE_SOURCE_TOKEN", show_default=False)
    ] = "",
    source_project: Words = "",
    account: Words = "",
    plan: str | None = None,
    dry_run: Flag = False,
    options: Options = DEFAULTS,
) -> None:
    """Add another sender's endpoints, with their secrets.

    They go to --project, where missing accounts are created. Existing endpoints, by account and
    URL, stay as they are, so this can be repeated. Exits with 1 if some could not be added; the
    others are.

    Parameters
    ----------
    source
        Where from.
    file
        For csv: the file. Its first line names the columns: account, url, secret, and optionally
        account_name, event_types and channels (separated by spaces), name, description, reference,
        enabled.
    source_url
        The other sender's API. [https://api.svix.com, or https://us.getconvoy.cloud]
    source_token
        A token for it. Preferably set in the environment: HOOKTIDE_SOURCE_TOKEN.
    source_project
        For Convoy: the id of the project there.
    account
        The account of endpoints that name none.
    plan
        The plan of new accounts. Default: the project's.
    dry_run
        Only print what would be done; the server checks each endpoint as if it were added.
    """
    project = options.project
    if project is None:
        raise ConfigError("give the project they go to, with --project", key="project")
    found = list(_read(source, file, source_url, source_token, source_project))
    with options.client() as client:
        into = _project(client, project)
        adding = Adding(client, into, plan, account, dry_run)
        results = [adding.add(each) for each in found]
    _print(results, options.json)
    note(_summary(results, dry_run))
    if source == "svix" and (hint := _hint(into)):
        note(hint)
    if any(result.what == "refused" for result in results):
        sys.exit(1)


def _read(source: str, file: str, url: str, token: str, project: str) -> Iterator[Found]:
    if source == "csv":
        if not file:
            raise ConfigError("give the file: hooktide import csv endpoints.csv", key="file")
        yield from from_csv(file)
        return
    if not token:
        raise ConfigError(f"give a token of {source}: HOOKTIDE_SOURCE_TOKEN", key="source-token")
    if source == "convoy" and not project:
        raise ConfigError("give the id of the project at Convoy", key="source-project")
    with closing(Source(url or (SVIX if source == "svix" else CONVOY), token)) as there:
        yield from from_svix(there) if source == "svix" else from_convoy(there, project)


def _project(client: Client, name: str) -> Project:
    """Return the project that endpoints are imported into.

    :raises ConfigError: there is no such project.
    """
    try:
        return client.projects.get(name)
    except NotFoundError:
        raise ConfigError(f"the project {name!r} does not exist", key="project") from None


def _hint(into: Project) -> str:
    """Say what receivers of Svix's requests would notice; empty: nothing."""
    prefix = into.header_prefix
    if prefix == "svix":
        return ""
    sent = "no such headers" if prefix is None else f"{prefix}-id, {prefix}-timestamp and so on"
    return (
        f"Svix sends svix-id, svix-timestamp and svix-signature; {into.name} sends {sent}: for "
        'receivers that read Svix\'s by hand, set header_prefix = "svix" in its [dialect]'
    )


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one endpoint, one of ``_STYLES``, and the reason."""

    found: Found
    account: str
    what: str
    endpoint: str = ""
    why: str = ""


class Adding:
    """Adds endpoints to accounts of a project, and caches the existing ones."""

    def __init__(
        self, client: Client, into: Project, plan: str | None, account: str, dry_run: bool
    ) -> None:
        self._client = client
        self._project = into.name
        self._plan = plan
        self._account = account
        self._dry_run = dry_run
        self._types = into.event_types
        self._plans = {each.name: each for each in into.plans}
        self._default_plan = into.default_plan
        self._plan_of: dict[str, Plan] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._urls: dict[str, dict[str, str]] = {}
        self._checked: Counter[str] = Counter()

    def add(self, found: Found) -> Result:
        """Add an endpoint, unless it is there."""
        account = found.account or self._account
        try:
            if wrong := self._wrong(found, account):
                return Result(found, account, "refused", why=wrong)
            there = self._there(account, found)
            found = self._within_plan(found, account)
            if found.url in there:
                return Result(found, account, "there already", there[found.url])
            made = "" if self._dry_run else self._added(found, account)
            if self._dry_run and (wrong := self._checked_by_server(found, account)):
                return Result(found, account, "refused", why=wrong)
        except ProblemError as error:
            return Result(found, account, "refused", why=str(error))
        there[found.url] = made
        return Result(found, account, "would be added" if self._dry_run else "added", made)

    def _wrong(self, found: Found, account: str) -> str:
        if found.wrong:
            return found.wrong
        if not account:
            return "it names no account: give one with --account"
        if not found.url:
            return "it has no URL"
        if not found.secret:
            return "its secret is missing, and its receiver would not know a new one"
        try:
            read_secret(found.secret)
        except InvalidError as error:
            return error.detail
        unknown = [each for each in found.event_types if not self._is_known(each)]
        return f"{self._project} has no event type {', '.join(unknown)}" if unknown else ""

    def _is_known(self, pattern: str) -> bool:
        return any(wants((pattern,), name) for name in self._types)

    def _within_plan(self, found: Found, account: str) -> Found:
        """Return an endpoint without its rate limit, and a note, if its plan does not allow it.

        The first one of an account gets the notes on the account.
        """
        notes = (*self._notes.pop(account, ()), *found.notes)
        why = _why_not(found.rate_limit, self._plan_of[account].endpoint_rate_limit)
        if not why:
            return replace(found, notes=notes)
        told = f"its rate limit of {found.rate_limit:,}/s is not carried over: {why}"
        return replace(found, rate_limit=None, notes=(told, *notes))

    def _there(self, account: str, found: Found) -> dict[str, str]:
        """Return an account's endpoints by their URLs; a missing account is created."""
        if account not in self._urls:
            self._urls[account] = self._known(account, found)
        return self._urls[account]

    def _known(self, account: str, found: Found) -> dict[str, str]:
        try:
            known = self._client.accounts.get(account)
        except NotFoundError:
            self._create_account(account, found)
            return {}
        if known.project != self._project:
            raise ConfigError(
                f"{account} belongs to {known.project}, not to {self._project}", key="project"
            )
        self._plan_of[account] = self._plan_named(known.plan)
        self._note_rate(account, found.account_rate_limit, known)
        return {each.url: each.id for each in self._client.endpoints.list(account=account)}

    def _create_account(self, account: str, found: Found) -> None:
        """Create an account with its rate limit, if its plan allows that."""
        self._plan_of[account] = self._plan_named(self._plan)
        allowed = self._note_rate(account, found.account_rate_limit, None)
        if self._dry_run:
            return
        self._client.accounts.create(
            account, project=self._project, name=found.account_name[:200], plan=self._plan
        )
        if found.account_rate_limit is not None and allowed:
            self._client.accounts.set_rate_limit(account, found.account_rate_limit)

    def _plan_named(self, name: str | None) -> Plan:
        return self._plans.get(name or self._default_plan) or self._plans[self._default_plan]

    def _note_rate(self, account: str, rate: int | None, known: Account | None) -> bool:
        """Return whether an account can have a rate limit, and note why not."""
        why = _why_not(rate, self._plan_of[account].rate_limit)
        if not why and rate and known and known.rate_limit != rate:
            why = "the account exists already"
        if why:
            told = f"the account's rate limit of {rate:,}/s is not carried over: {why}"
            self._notes[account] = (told,)
        return not why

    def _added(self, found: Found, account: str) -> str:
        made = self._client.endpoints.create(
            found.url, found.event_types, account=account, enabled=found.enabled, **_fields(found)
        )
        return made.id

    def _checked_by_server(self, found: Found, account: str) -> str:
        """Return why the endpoint would be refused after the previous ones; empty if it would not.

        :raises ProblemError: the server would refuse it in any case.
        """
        checked = self._client.endpoints.check(
            found.url,
            found.event_types,
            account=account,
            project=self._project,
            plan=self._plan,
            **_fields(found),
        )
        if checked.endpoints_left is not None and self._checked[account] >= checked.endpoints_left:
            return "the account's plan allows no more endpoints"
        self._checked[account] += 1
        return ""


def _why_not(rate: int | None, allowed: int | None) -> str:
    """Return why a plan does not allow a rate limit; empty if it does."""
    try:
        check_rate(rate, None, allowed)
    except InvalidError as error:
        return error.detail
    return ""


def _fields(found: Found) -> dict[str, Any]:
    """Return the arguments shared by creating and checking an endpoint."""
    return {
        "kind": "webhook",
        "name": found.name,
        "description": found.description[:1000],
        "headers": dict(found.headers),
        "secret": found.secret,
        "channels": found.channels,
        "reference": found.reference,
        "metadata": found.metadata,
        "rate_limit": found.rate_limit,
    }


def _print(results: Iterable[Result], as_json: bool) -> None:
    if as_json:
        for each in results:
            print_json(_json(each))
        return
    rows = [
        (
            each.found.where,
            line_of(each.account),
            line_of(each.found.url),
            Text(_what(each), style=_STYLES[each.what]),
            line_of("; ".join(filter(None, [each.why, *each.found.notes]))),
        )
        for each in results
    ]
    print_rows(("from", "account", "url", "what", "notes"), rows)


_STYLES = {
    "added": "green",
    "would be added": "green",
    "there already": "dim",
    "refused": "red",
}


def _what(result: Result) -> str:
    added = result.what in {"added", "would be added"}
    return f"{result.what}, disabled" if added and not result.found.enabled else result.what


def _json(result: Result) -> dict[str, object]:
    """Return a result as JSON; never with its secret."""
    return {
        "from": result.found.where,
        "account": result.account,
        "url": result.found.url,
        "event_types": result.found.event_types,
        "enabled": result.found.enabled,
        "what": result.what,
        "endpoint": result.endpoint or None,
        "why": result.why,
        "notes": result.found.notes,
    }


def _summary(results: list[Result], dry_run: bool) -> str:
    whats = ("would be added" if dry_run else "added", "there already", "refused")
    counts = [f"{sum(r.what == what for r in results)} {what}" for what in whats]
    return f"{count_of(len(results), 'endpoint')}: {', '.join(counts)}" + (
        ". This was a dry run: nothing was changed." if dry_run else ""
    )
