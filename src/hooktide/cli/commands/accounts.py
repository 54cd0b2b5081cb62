"""``hooktide accounts``: erase a customer's data, and follow the progress."""

import sys
import time

from cyclopts import App

from hooktide.cli.options import DEFAULTS, Flag, Options
from hooktide.cli.output import print_json, print_line
from hooktide.cli.output import time as shown_time
from hooktide.client import Client
from hooktide.domain.counting import count_of
from hooktide.domain.errors import ConfigError
from hooktide.wire.accounts import Erasure

POLL_INTERVAL = 2.0

accounts = App(name="accounts", help="Erase an account's data.", config=())


@accounts.command
def erase(
    account: str, *, yes: Flag = False, wait: Flag = False, options: Options = DEFAULTS
) -> None:
    """Delete an account and erase its data; this cannot be undone.

    Payloads, attempts' bodies and headers, URLs, the reference, names and bins are erased; ids,
    counts and times stay. It runs in the server and takes at least two minutes.

    Parameters
    ----------
    account
        An acc_ id, or your own reference. An account that was deleted earlier can still be erased.
    yes
        Skip the confirmation.
    wait
        Follow the progress until it is done.
    """
    if not yes:
        _ask(account)
    with options.client() as client:
        _show(client, client.accounts.erase(account), options.json, wait)


@accounts.command
def erasure(account: str, *, wait: Flag = False, options: Options = DEFAULTS) -> None:
    """Show the progress of an account's erasure.

    Parameters
    ----------
    account
        Its acc_ id, which `accounts erase` printed: the reference is erased.
    wait
        Follow it until it is done.
    """
    with options.client() as client:
        _show(client, client.accounts.erasure(account), options.json, wait)


def _ask(account: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("this cannot be undone; confirm with --yes", key="erase")
    print_line(
        f"All data of {account} will be erased permanently. Type it again to confirm: ", error=True
    )
    if sys.stdin.readline().strip() != account:
        raise ConfigError("the names differ; nothing was erased", key="erase")


def _show(client: Client, found: Erasure, as_json: bool, wait: bool) -> None:
    _print(found, as_json)
    while wait and found.state == "running":
        time.sleep(POLL_INTERVAL)
        before, found = found, client.accounts.erasure(found.account)
        if found != before:
            _print(found, as_json)


def _print(found: Erasure, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    done = f"{count_of(found.events, 'event')} and {count_of(found.attempts, 'attempt')} erased"
    if found.state == "running" and found.erased_to is not None:
        done += f", up to {shown_time(found.erased_to)}"
    print_line(found.account, found.state, done)
