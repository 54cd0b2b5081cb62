"""``hooktide accounts``: erasing an account takes a confirmation, and shows its progress."""

import re

import pytest
from clientkit import Place
from commandkit import hooktide

from hooktide import Client
from hooktide.client import NotFoundError


def added(reference: str) -> str:
    with Client() as client:
        return client.accounts.create(reference, project="invoice-maker").id


@pytest.mark.usefixtures("place")
def test_an_account_is_erased_and_its_erasure_shown_by_its_id() -> None:
    account = added("gone")
    told = hooktide("accounts", "erase", "gone", "--yes").ok().out
    assert re.fullmatch(rf"{account}  running  0 events and 0 attempts erased\n", told)
    with Client() as client, pytest.raises(NotFoundError):
        client.accounts.get("gone")
    shown = hooktide("accounts", "erasure", account, "--json").ok().one
    assert (shown["account"], shown["state"], shown["ended_at"]) == (account, "running", None)


@pytest.mark.usefixtures("place")
def test_without_yes_nothing_is_erased_without_a_terminal() -> None:
    account = added("kept")
    said = hooktide("accounts", "erase", "kept", typed="kept\n")
    assert (said.code, "--yes" in said.err) == (2, True)
    with Client() as client:
        assert client.accounts.get("kept").id == account


def test_what_is_not_being_erased_is_not_found(place: Place) -> None:
    said = hooktide("accounts", "erasure", place.account)
    assert said.code != 0
    assert "erasure" in said.err
    assert hooktide("accounts", "erase", "nobody", "--yes").code == said.code
