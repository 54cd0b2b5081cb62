"""Sources of endpoints: Svix and Convoy through their APIs, anything else as CSV.

A reader yields ``Found``s. Features that Hooktide lacks are listed in ``notes``, never dropped
silently.
"""

import base64
import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hooktide.client.errors import ClientError, UnexpectedAnswerError
from hooktide.client.requests import call
from hooktide.client.retries import RetryPolicy
from hooktide.client.server import Server
from hooktide.client.transport import Transport
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.labels import check_metadata
from hooktide.wire.endpoints import MAX_REFERENCE_LENGTH

SVIX = "https://api.svix.com"
CONVOY = "https://us.getconvoy.cloud"
PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An endpoint of another sender. ``where`` is its name there, or its line.

    ``rate_limit`` is its own in requests a second, ``account_rate_limit`` its account's.
    ``wrong`` says why it cannot be read; empty if it can.
    """

    where: str
    account: str
    account_name: str = ""
    url: str
    event_types: tuple[str, ...]
    secret: str
    name: str = ""
    description: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ()
    reference: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int | None = None
    account_rate_limit: int | None = None
    enabled: bool = True
    notes: tuple[str, ...] = ()
    wrong: str = ""


class Source:
    """Another sender's API."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._transport = Transport(Server(self._url, token), 30.0, RetryPolicy(retries=3))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the JSON at a path.

        :raises ConfigError: it cannot be read, most likely because of the URL or the token.
        """
        try:
            return self._transport.send(call("GET", path, dict[str, Any], query=query))
        except UnexpectedAnswerError as error:
            status = error.status
            why = "is the token right?" if status in {401, 403} else "is the URL right?"
            raise ConfigError(f"{self._url}{path} returned {status}: {why}") from None
        except ClientError as error:
            raise ConfigError(f"{self._url}{path}: {error}") from None


def from_svix(source: Source) -> Iterator[Found]:
    """Read the endpoints of every application, with their secrets."""
    for app in _svix_pages(source, "/api/v1/app"):
        for endpoint in _svix_pages(source, f"/api/v1/app/{app['id']}/endpoint"):
            path = f"/api/v1/app/{app['id']}/endpoint/{endpoint['id']}"
            secret = str(source.get(f"{path}/secret")["key"])
            headers = source.get(f"{path}/headers")
            yield Found(
                where=endpoint["id"],
                account=app.get("uid") or app["id"],
                account_name=app.get("name") or "",
                url=endpoint["url"],
                event_types=tuple(endpoint.get("filterTypes") or ("*",)),
                secret=secret if secret.startswith("whsec_") else f"whsec_{secret}",
                description=endpoint.get("description") or "",
                headers=tuple((headers.get("headers") or {}).items()),
                channels=tuple(endpoint.get("channels") or ()),
                reference=_svix_reference(endpoint),
                metadata=_svix_metadata(endpoint),
                rate_limit=_svix_rate(endpoint),
                account_rate_limit=_svix_rate(app),
                enabled=not endpoint.get("disabled"),
                notes=tuple(_svix_notes(endpoint, headers)),
            )


def _svix_pages(source: Source, path: str) -> Iterator[dict[str, Any]]:
    iterator = None
    while True:
        page = source.get(path, limit=PAGE, iterator=iterator)
        yield from page["data"]
        iterator = page.get("iterator")
        if page.get("done", True) or not iterator:
            return


def _svix_reference(endpoint: Mapping[str, Any]) -> str:
    """Return its ``uid``; empty if it is too long for a reference."""
    uid = str(endpoint.get("uid") or "")
    return uid if len(uid) <= MAX_REFERENCE_LENGTH else ""


def _svix_metadata(endpoint: Mapping[str, Any]) -> Mapping[str, str]:
    """Return its metadata; empty if it has names that are not allowed here."""
    try:
        return dict(check_metadata(endpoint.get("metadata") or {}))
    except InvalidError:
        return {}


def _svix_rate(thing: Mapping[str, Any]) -> int | None:
    """Return the requests a second of an endpoint or application; ``rateLimit`` is the old name."""
    return thing.get("throttleRate") or thing.get("rateLimit") or None


def _svix_notes(endpoint: Mapping[str, Any], headers: Mapping[str, Any]) -> Iterator[str]:
    if endpoint.get("uid") and not _svix_reference(endpoint):
        yield f"its uid is not carried over: it is longer than {MAX_REFERENCE_LENGTH} characters"
    if endpoint.get("metadata") and not _svix_metadata(endpoint):
        yield "its metadata is not carried over: a name in it is not allowed here"
    for name in headers.get("sensitive") or ():
        yield f"the value of its header {name} cannot be exported: add it by hand"


def from_convoy(source: Source, project: str) -> Iterator[Found]:
    """Read a project's endpoints, and their event types from its subscriptions."""
    types: dict[str, list[str]] = defaultdict(list)
    filtered: set[str] = set()
    for each in _convoy_pages(source, f"/api/v1/projects/{project}/subscriptions"):
        uid = (each.get("endpoint_metadata") or {}).get("uid", "")
        config = each.get("filter_config") or {}
        types[uid] += config.get("event_types") or ["*"]
        if any((config.get("filter") or {}).values()):
            filtered.add(uid)
    for endpoint in _convoy_pages(source, f"/api/v1/projects/{project}/endpoints"):
        wants = tuple(dict.fromkeys(types.get(endpoint["uid"], ())))
        yield _from_convoy(endpoint, wants, endpoint["uid"] in filtered)


def _from_convoy(endpoint: Mapping[str, Any], wants: tuple[str, ...], filtered: bool) -> Found:
    headers, unknown = _convoy_headers(endpoint)
    return Found(
        where=endpoint["uid"],
        account=endpoint.get("owner_id") or "",
        url=endpoint.get("url") or endpoint.get("target_url") or "",
        event_types=wants or ("*",),
        secret=_convoy_secret(endpoint),
        name=(endpoint.get("name") or endpoint.get("title") or "")[:100],
        description=endpoint.get("description") or "",
        headers=headers,
        enabled=endpoint.get("status", "active") == "active" and bool(wants),
        notes=(*unknown, *_convoy_notes(endpoint, wants, filtered)),
    )


def _convoy_notes(
    endpoint: Mapping[str, Any], wants: tuple[str, ...], filtered: bool
) -> Iterator[str]:
    if filtered:
        yield "its filter on the payload is not carried over"
    if not wants:
        yield "it has no subscription, so it received nothing there: added disabled"
    if endpoint.get("rate_limit"):
        yield "its rate limit is not carried over"


def _convoy_pages(source: Source, path: str) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = source.get(path, perPage=PAGE, direction="next", next_page_cursor=cursor)
        data = page["data"]
        yield from data.get("content") or ()
        pagination = data.get("pagination") or {}
        cursor = pagination.get("next_page_cursor")
        if not pagination.get("has_next_page") or not cursor:
            return


def _convoy_secret(endpoint: Mapping[str, Any]) -> str:
    """Return the newest secret that does not expire, else the newest."""
    secrets = [each for each in endpoint.get("secrets") or () if not each.get("deleted_at")]
    lasting = [each for each in secrets if not each.get("expires_at")]
    return str((lasting or secrets or [{"value": ""}])[-1].get("value", ""))


def _convoy_headers(
    endpoint: Mapping[str, Any],
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    authentication = endpoint.get("authentication") or {}
    kind, key = authentication.get("type"), authentication.get("api_key") or {}
    basic = authentication.get("basic_auth") or {}
    if kind == "api_key" and key.get("header_name"):
        return ((key["header_name"], key.get("header_value", "")),), ()
    if kind == "basic_auth" and basic.get("username"):
        pair = f"{basic['username']}:{basic.get('password', '')}".encode()
        return (("Authorization", f"Basic {base64.b64encode(pair).decode()}"),), ()
    if kind and kind not in {"api_key", "basic_auth"}:
        return (), (f"its authentication ({kind}) is not carried over",)
    return (), ()


COLUMNS = (
    "account",
    "account_name",
    "url",
    "event_types",
    "secret",
    "name",
    "description",
    "channels",
    "reference",
    "enabled",
)
NEEDED = ("account", "url", "secret")
ENABLED = {
    **dict.fromkeys(("", "yes", "y", "true", "t", "on", "1"), True),
    **dict.fromkeys(("no", "n", "false", "f", "off", "0"), False),
}
"""What databases and people write; PostgreSQL's ``COPY`` writes ``t`` and ``f``."""


def from_csv(file: str) -> Iterator[Found]:
    """Read a file whose first line names its columns; event types and channels have spaces between.

    :raises ConfigError: it cannot be read, or a column is missing or unknown.
    """
    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "").lower() if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read {file}: {why}", key="file") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    _check_columns(file, rows.fieldnames or ())
    for row in rows:
        yield _row(f"line {rows.line_num}", {k: (v or "") for k, v in row.items() if k})


def _check_columns(file: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            raise ConfigError(
                f"unknown column {name!r}; use {', '.join(COLUMNS)}", file=file, line=1
            )
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ConfigError(f"the column {missing[0]!r} is missing", file=file, line=1)


def _row(where: str, row: Mapping[str, str]) -> Found:
    enabled = row.get("enabled", "").strip()
    known = ENABLED.get(enabled.lower())
    return Found(
        where=where,
        account=row["account"].strip(),
        account_name=row.get("account_name", "").strip(),
        url=row["url"].strip(),
        event_types=tuple(row.get("event_types", "").replace(",", " ").split()) or ("*",),
        secret=row["secret"].strip(),
        name=row.get("name", "").strip(),
        description=row.get("description", "").strip(),
        channels=tuple(row.get("channels", "").replace(",", " ").split()),
        reference=row.get("reference", "").strip(),
        enabled=known is not False,
        wrong="" if known is not None else f"enabled is {enabled[:20]!r}; write yes or no",
    )
