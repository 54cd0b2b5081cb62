"""``hooktide listen``: an account's events on this machine, as they happen.

An endpoint of the account sends to a request bin on the server. The bin's requests are fetched and
forwarded to a local URL with their original method, headers and body, so signatures verify.
Endpoint and bin are reused by the endpoint's name, so its secret stays the same between runs.
"""

import base64
import json
import os
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
from cyclopts import Parameter
from rich.text import Text

from hooktide.cli.options import DEFAULTS, Flag, Options
from hooktide.cli.output import line_of, note, print_json, print_line
from hooktide.client import (
    Client,
    ClientError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    UnreachableError,
)
from hooktide.client.forwarding import Forwarder
from hooktide.domain.errors import ConfigError
from hooktide.wire.bins import Bin, BinRequest
from hooktide.wire.endpoints import Endpoint, Secret

POLL_INTERVAL = 0.5
ENDPOINT_CHECK_INTERVAL = 2.0
"""Seconds between two checks that the endpoint is still enabled."""
MONTH = 30 * 86_400
MAX_NAME_LENGTH = 100


def listen(
    forward: str,
    *,
    account: str | None = None,
    types: Annotated[list[str], Parameter(negative=(), show_default=False)] = ["*"],  # noqa: B006
    name: Annotated[str, Parameter(show_default=False)] = "",
    new_secret: Flag = False,
    options: Options = DEFAULTS,
) -> None:
    """Send an account's events to a URL on this machine, and print a line for each.

    While it runs, an endpoint of the account is enabled; Ctrl-C disables it. The endpoint and its
    deliveries count towards the account's plan. The server keeps the first 64 KB of a body; a
    larger one is reported instead of forwarded.

    Parameters
    ----------
    forward
        The URL to forward to, like http://localhost:3000/webhooks.
    account
        The account: an acc_ id, or your own reference. Not required with an account's key.
    types
        Only these event types, like invoice.paid or invoice.*; may be repeated.
    name
        The endpoint's name, by which it is reused. Default: one for this machine.
    new_secret
        Create a new secret, for example if the old one was lost.
    """
    if not forward.startswith(("http://", "https://")):
        raise ConfigError(
            f"{forward!r} is not a URL like http://localhost:3000/webhooks", key="forward"
        )
    name = (name or f"hooktide listen on {platform.node()}")[:MAX_NAME_LENGTH]
    signal.signal(signal.SIGTERM, _interrupt)
    with options.client() as client, closing(Forwarder(forward)) as forwarder:
        if account is None:
            _check_own(client)
        place = _place(client, account, name, types)
        try:
            secret = _secret(client, place.endpoint, new_secret)
            _print_start(place, secret, forward, options.json)
            _pass_on(client, place, forwarder, options.json)
        except KeyboardInterrupt:
            note("")
        finally:
            _disable(client, place.endpoint)
        note(f"{place.endpoint.id} is disabled until you run this command again.")


def _disable(client: Client, endpoint: Endpoint) -> None:
    with suppress(NotFoundError):  # it was deleted meanwhile
        # The account's own key may listen next.
        client.endpoints.disable(endpoint.id, account_may_enable=True)


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _check_own(client: Client) -> None:
    """Check that the key is an account's if no account is named.

    Any other key has access to several accounts, each of which may have an endpoint of this name.

    :raises ConfigError: it is not.
    """
    try:
        next(iter(client.accounts.list(limit=1)), None)
    except ForbiddenError:
        return  # as it is for an account's key
    raise ConfigError(
        "name the account, by its acc_ id or your own reference; only an account's key can omit it",
        key="--account",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """The endpoint, its bin, and the newest request received before this run."""

    endpoint: Endpoint
    bin: Bin
    newest: str


def _place(client: Client, account: str | None, name: str, types: list[str]) -> _Place:
    found = next((e for e in client.endpoints.list(account=account) if e.name == name), None)
    kept = None if found is None else _bin_of(client, found)
    if kept is None:
        kept = client.bins.create(ttl_seconds=MONTH)
    newest = next((each.id for each in client.bins.requests(kept.id, limit=1)), "")
    if found is None:
        made = client.endpoints.create(kept.url, types, account=account, name=name)
        _remember(client, made, made.secret)
        return _Place(made, kept, newest)
    endpoint = found
    if (endpoint.url, endpoint.event_types) != (kept.url, types):
        endpoint = client.endpoints.update(endpoint.id, url=kept.url, event_types=types)
    if not endpoint.enabled:
        endpoint = client.endpoints.enable(endpoint.id)
    return _Place(endpoint, kept, newest)


def _bin_of(client: Client, endpoint: Endpoint) -> Bin | None:
    """Return the bin that an endpoint sends to, unless it has expired."""
    try:
        return client.bins.get("bin_" + endpoint.url.rpartition("/")[2])
    except NotFoundError:
        return None


def _secret(client: Client, endpoint: Endpoint, new: bool) -> Secret | None:
    """Return the endpoint's secret, where this machine knows it: the server shows it only once."""
    if new:
        secret = client.endpoints.rotate(endpoint.id).secret
        _remember(client, endpoint, secret)
        return secret
    kept = _remembered().get(_name(client, endpoint))
    return None if kept is None else Secret(text=kept["text"], whsec=kept["whsec"])


def _name(client: Client, endpoint: Endpoint) -> str:
    return f"{client.url} {endpoint.id}"


def _file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "hooktide" / "listen.json"


def _remembered() -> dict[str, dict[str, str]]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(client: Client, endpoint: Endpoint, secret: Secret) -> None:
    known = _remembered() | {_name(client, endpoint): {"text": secret.text, "whsec": secret.whsec}}
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(known, stream)
    new.replace(file)


def _print_start(place: _Place, secret: Secret | None, forward: str, as_json: bool) -> None:
    endpoint = place.endpoint
    if as_json:
        print_json({"endpoint": endpoint, "bin": place.bin, "secret": secret, "forward": forward})
        return
    note(f"{endpoint.id} of {endpoint.account} sends {' '.join(endpoint.event_types)} to {forward}")
    if secret is None:
        note("The secret was shown when it was made, elsewhere; --new-secret makes another.")
    else:
        note(f"secret  {secret.text}")
        if secret.whsec != secret.text:
            note(f"        {secret.whsec}  (the same key, as Standard Webhooks libraries take it)")
    note(f"look    {place.bin.page_url}")
    note("Ctrl-C ends it.")


def _pass_on(client: Client, place: _Place, forwarder: Forwarder, as_json: bool) -> None:
    newest, away, checked = place.newest, False, time.monotonic()
    while True:
        try:
            for request in _new(client, place.bin, newest):
                newest = request.id
                _print_forwarded(request, _forward(forwarder, request), as_json)
            if time.monotonic() - checked >= ENDPOINT_CHECK_INTERVAL:
                _check_enabled(client, place.endpoint)
                checked = time.monotonic()
            if away:
                note(f"{client.url} answers again.")
            away = False
        except (UnreachableError, ServerError) as error:
            if not away:
                note(_trouble(error))
            away = True
        except NotFoundError as error:
            raise ClientError("the bin is gone, or has expired: start again") from error
        time.sleep(POLL_INTERVAL)


def _trouble(error: ClientError) -> str:
    """Describe the problem in a sentence, and that the request is retried."""
    reason = str(error).rstrip(".")
    return reason + ("" if reason.endswith("?") else ".") + " Trying again until it answers."


def _check_enabled(client: Client, endpoint: Endpoint) -> None:
    """Check that the server still sends to the endpoint.

    :raises ClientError: it was disabled or deleted, so nothing will come.
    """
    try:
        found = client.endpoints.get(endpoint.id)
    except NotFoundError as error:
        raise ClientError(
            f"{endpoint.id} was deleted: run this command again to make another"
        ) from error
    if not found.enabled:
        reason = f" ({line_of(found.disabled_reason)})" if found.disabled_reason else ""
        raise ClientError(
            f"{endpoint.id} was disabled{reason} and receives nothing: run this command again to "
            "enable it"
        )


def _new(client: Client, kept: Bin, newest: str) -> list[BinRequest]:
    """Return what came since, oldest first; only the newest is asked for while nothing did."""
    latest = next(iter(client.bins.requests(kept.id, limit=1)), None)
    if latest is None or latest.id <= newest:
        return []
    return list(_since(client, kept, newest))[::-1]


def _since(client: Client, kept: Bin, newest: str) -> Iterator[BinRequest]:
    for request in client.bins.requests(kept.id):
        if request.id <= newest:
            return
        yield request


def _forward(forwarder: Forwarder, request: BinRequest) -> dict[str, Any]:
    if request.body_truncated:
        return {"error": f"not sent on: {request.body_size:,} bytes, of which 64 KB are kept"}
    body = (request.body or "").encode()
    if request.body_base64 is not None:
        body = base64.b64decode(request.body_base64)
    try:
        answer = forwarder.send(request.method, request.headers, body)
    except UnreachableError as error:
        return {"error": str(error)}
    return {"status": answer.status, "duration_ms": round(answer.duration_ms, 1)}


def _is_id(name: str, value: str) -> bool:
    """Whether a header is the event's id; a project may call it otherwise than ``webhook-id``."""
    return name.lower().endswith("-id") and value.startswith("evt_")


def _print_forwarded(request: BinRequest, came: dict[str, Any], as_json: bool) -> None:
    event = next((v for name, v in request.headers if _is_id(name, v)), "-")
    type = _type(request)
    if as_json:
        print_json({"request": request.id, "event": event, "type": type, **came})
        return
    at = request.received_at.astimezone().strftime("%H:%M:%S")
    if "error" in came:
        shown = [Text(line_of(came["error"]), style="red")]
    else:
        style = "green" if 200 <= came["status"] < 300 else "red"
        shown = [Text(str(came["status"]), style=style), Text(f"{came['duration_ms']} ms")]
    print_line(at, line_of(event), line_of(type), *shown)


class _Typed(msgspec.Struct):
    """Where webhooks say what they are."""

    type: str = ""
    event_type: str = ""


def _type(request: BinRequest) -> str:
    try:
        typed = msgspec.json.decode(request.body or "", type=_Typed)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return "-"
    return typed.type or typed.event_type or "-"
