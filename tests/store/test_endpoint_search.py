"""Endpoints are found by a part of their name or URL, on every store."""

from dataclasses import replace

import pytest
from storekit import NOON, Given

from hooktide.domain.model import Scope, Secret


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("acme.example", ["two", "one"]),
        ("HOOKS.ACME", ["one"]),
        ("/50%_off", ["two"]),
        ("_", ["two"]),
        ("%", ["two"]),
        ("\\", []),
        ("Two", ["two"]),
        ("receiver.example.com", [""]),
        ("nowhere", []),
    ],
)
async def test_a_text_is_found_in_names_and_urls_as_it_is_written(
    given: Given, text: str, found: list[str]
) -> None:
    for name, url in (
        ("one", "https://hooks.acme.example/in"),
        ("two", "https://acme.example/50%_off"),
    ):
        new = replace(given.endpoint, name=name, url=url, secrets=())
        await given.store.create_endpoint(new, Secret("ab" * 32, b"\xab" * 32), None, NOON)
    page = await given.store.list_endpoints(Scope(), None, 10, text)
    assert [each.name for each in page.items] == found
    stranger = Scope(account_id=given.account.id + 1)
    assert (await given.store.list_endpoints(stranger, None, 10, text)).items == []


async def test_a_page_of_a_search_goes_on_where_it_ended(given: Given) -> None:
    for number in range(3):
        await given.create_endpoint(url=f"https://acme.example/{number}")
    first = await given.store.list_endpoints(Scope(), None, 2, "acme")
    assert [each.url[-1] for each in first.items] == ["2", "1"]
    rest = await given.store.list_endpoints(Scope(), first.next_before, 2, "acme")
    assert [each.url[-1] for each in rest.items] == ["0"]
