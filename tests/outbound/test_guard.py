"""Addresses that are never connected to, and the operator's exceptions."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wire import LOOPBACK, NO_CONTENT, keeping, post, receiving

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import InvalidError
from hooktide.domain.http.address import OwnAddresses, Target, UrlPolicy, check_url, read_address
from hooktide.outbound import OwnHost, Resolver, Sender
from hooktide.outbound.guard import MAX_ROUTE_AGE, Guard, Route
from hooktide.outbound.own_host import interface_addresses

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "ssrf.json").read_text()
)["vectors"]
HOST = "hook.example.com"


@asynccontextmanager
async def sending(
    policy: UrlPolicy, hosts: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator[Sender]:
    sender = Sender(policy, resolver=Resolver(hosts=hosts or {}))
    try:
        yield sender
    finally:
        await sender.close()


@pytest.fixture
async def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An event loop that does not connect, and records the addresses."""
    addresses: list[str] = []

    async def refuse(_factory: object, host: str, _port: int, **_options: object) -> None:
        addresses.append(host)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
    return addresses


async def attempt(sender: Sender, target: Target) -> Outcome:
    return await sender.post(target, target.prefix + b"content-length: 0\r\n\r\n", b"", 1.0)


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["id"]) for v in VECTORS if v["phase"] == "connect"]
)
async def test_an_answer_of_dns_is_dialled_only_as_its_vector_says(
    vector: dict[str, Any], dialled: list[str]
) -> None:
    given = vector.get("policy", {})
    policy = UrlPolicy(
        allow_networks=tuple(given.get("allow_cidrs", ())),
        deny_networks=tuple(given.get("deny_cidrs", ())),
    )
    target = check_url(vector["url"], policy)
    async with sending(policy, {target.host: vector["dns"]}) as sender:
        outcome = await attempt(sender, target)
    if vector["expect"] == "allow":
        assert dialled == vector["dns"][:3]
        assert outcome.error == "connect_error"
    else:
        assert dialled == []
        assert outcome.error == "destination_forbidden"


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(v, id=v["id"])
        for v in VECTORS
        if v["phase"] == "register" and str(v.get("code")).startswith("ip_")
    ],
)
async def test_a_forbidden_literal_is_not_dialled_even_where_its_url_was_once_allowed(
    vector: dict[str, Any], dialled: list[str]
) -> None:
    lenient = UrlPolicy(allow_http=True, allow_networks=("0.0.0.0/0", "::/0"))
    try:
        target = check_url(vector["url"], lenient)
    except InvalidError:
        return  # no policy allows a mapped address
    async with sending(UrlPolicy(allow_http=True)) as sender:
        assert (await attempt(sender, target)).error == "destination_forbidden"
    assert dialled == []


async def test_the_owner_learns_no_address_and_the_operator_does(
    dialled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with sending(UrlPolicy(), {HOST: ["8.8.8.8", "10.1.2.3"]}) as sender:
        with caplog.at_level(logging.WARNING, logger="hooktide.outbound"):
            outcome = await attempt(sender, check_url(f"https://{HOST}/", UrlPolicy()))
    assert outcome.detail == "the destination is not allowed"
    assert "10.1.2.3: ip_v4_special" in caplog.text
    assert dialled == []


async def test_no_more_than_16_addresses_of_a_long_answer_are_tried(dialled: list[str]) -> None:
    many = [f"8.8.{n // 250}.{n % 250 + 1}" for n in range(500)]
    async with sending(UrlPolicy(), {HOST: many}) as sender:
        assert (await attempt(sender, check_url(f"https://{HOST}/", UrlPolicy()))).error
    assert dialled == many[:16]


async def test_localhost_is_loopback_and_refused_unless_it_is_an_own_bin(
    dialled: list[str],
) -> None:
    own = UrlPolicy(own_bins="http://localhost:8080/bin/")
    target = check_url("http://localhost:8080/bin/AbCdEfGhIjKlMnOpQrStUv", own)
    async with sending(UrlPolicy()) as sender:
        assert (await attempt(sender, target)).error == "destination_forbidden"
    assert dialled == []
    async with sending(own) as sender:
        assert (await attempt(sender, target)).error == "connect_error"
    assert dialled == ["127.0.0.1", "::1"]


async def test_an_own_bin_is_reached_and_the_port_beside_it_is_not() -> None:
    async with receiving(keeping(NO_CONTENT)) as bin_, receiving(keeping(NO_CONTENT)) as other:
        own = UrlPolicy(own_bins=f"http://127.0.0.1:{bin_.port}/bin/")
        async with sending(own) as sender:
            url = f"http://127.0.0.1:{bin_.port}/bin/AbCdEfGhIjKlMnOpQrStUv"
            assert (await attempt(sender, check_url(url, own))).status == 204
            assert (await post(sender, other)).error == "destination_forbidden"
            beside = check_url(f"http://127.0.0.1:{bin_.port}/v1/events", LOOPBACK)
            assert (await attempt(sender, beside)).error == "destination_forbidden"
            assert other.connections == 0


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with (
        receiving(keeping(NO_CONTENT)) as receiver,
        sending(LOOPBACK, {HOST: ["127.0.0.9", "127.0.0.1"]}) as sender,
    ):
        assert (await post(sender, receiver, host=HOST)).status == 204
        assert (await post(sender, receiver, host=HOST)).status == 204
        assert receiver.connections == 1


async def test_ipv6_is_dialled_too() -> None:
    async with (
        receiving(keeping(NO_CONTENT), host="::1") as receiver,
        sending(LOOPBACK, {HOST: ["::1"]}) as sender,
    ):
        assert (await post(sender, receiver, host=HOST)).status == 204
        assert (await post(sender, receiver, host="[::1]")).status == 204


PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1::1"


def owning(*addresses: str, allow: tuple[str, ...] = ()) -> UrlPolicy:
    own = OwnAddresses(read_address(text) for text in addresses)
    return UrlPolicy(own_host=own, allow_networks=allow, own_bins=f"https://{HOST}/bin/")


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_V6])
async def test_the_servers_own_address_is_refused_by_name_and_by_number(
    address: str, dialled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    policy = owning(PUBLIC, PUBLIC_V6)
    url = f"https://[{address}]/" if ":" in address else f"https://{address}/"
    with pytest.raises(InvalidError, match="this server's own address") as error:
        check_url(url, policy)
    assert error.value.code == "ip_own_host"
    async with sending(policy, {HOST: [address]}) as sender:
        for target in (check_url(url, UrlPolicy()), check_url(f"https://{HOST}:8443/", policy)):
            assert (await attempt(sender, target)).error == "destination_forbidden"
    assert dialled == []
    assert f"{address}: ip_own_host" in caplog.text


async def test_an_own_address_may_be_opened_and_its_neighbour_is_open(dialled: list[str]) -> None:
    target = check_url(f"https://{HOST}/hook", UrlPolicy())
    for policy, address in (
        (owning(PUBLIC, allow=(f"{PUBLIC}/32",)), PUBLIC),
        (owning(PUBLIC), "93.184.216.35"),
    ):
        async with sending(policy, {HOST: [address]}) as sender:
            assert (await attempt(sender, target)).error == "connect_error"
    assert dialled == [PUBLIC, "93.184.216.35"]


async def test_an_own_bin_is_reached_at_an_own_address(dialled: list[str]) -> None:
    policy = owning(PUBLIC)
    bin_ = check_url(f"https://{HOST}/bin/AbCdEfGhIjKlMnOpQrStUv", policy)
    async with sending(policy, {HOST: [PUBLIC]}) as sender:
        assert (await attempt(sender, bin_)).error == "connect_error"
    assert dialled == [PUBLIC]


async def test_an_address_that_becomes_our_own_is_refused_within_a_minute() -> None:
    policy = owning()
    guard = Guard(policy, Resolver())
    target = check_url(f"https://{PUBLIC}/", policy)
    now = time.monotonic()
    assert isinstance(await guard.find(target, now + 5, 0), Route)
    policy.own_host.addresses = frozenset([read_address(PUBLIC)])
    assert guard.known(target.origin, time.monotonic() + MAX_ROUTE_AGE) is None
    assert isinstance(await guard.find(target, now + 5, 0), Outcome)


def test_the_interfaces_of_this_machine_are_read() -> None:
    assert read_address("127.0.0.1") in interface_addresses()


async def test_own_addresses_are_those_of_the_interfaces_and_what_the_public_name_means() -> None:
    own, here = OwnAddresses(), [read_address("198.18.0.1")]
    resolver = Resolver(hosts={HOST: [PUBLIC, PUBLIC_V6]})
    await OwnHost(own, HOST, resolver, lambda: here).refresh()
    assert {str(address) for address in own.addresses} == {"198.18.0.1", PUBLIC, PUBLIC_V6}
    await OwnHost(own, PUBLIC, resolver, lambda: here).refresh()
    assert {str(address) for address in own.addresses} == {"198.18.0.1", PUBLIC}
    await OwnHost(own, "::1", resolver, lambda: here).refresh()
    assert {str(address) for address in own.addresses} == {"198.18.0.1", "::1"}
