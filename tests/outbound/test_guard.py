"""What is never dialled, whatever a name resolves to; and what the operator opened."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wire import LOOPBACK, NO_CONTENT, keeping, post, receiving

from hooktide.domain.address import Target, UrlPolicy, check_url
from hooktide.domain.errors import InvalidError
from hooktide.domain.verdict import Outcome
from hooktide.outbound import Resolver, Sender

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
    """A loop that connects nobody, and the addresses it was asked to connect."""
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
        return  # no policy lets a mapped address through
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


async def test_only_a_few_addresses_of_a_long_answer_are_tried(dialled: list[str]) -> None:
    many = [f"8.8.{n // 250}.{n % 250 + 1}" for n in range(500)]
    async with sending(UrlPolicy(), {HOST: many}) as sender:
        assert (await attempt(sender, check_url(f"https://{HOST}/", UrlPolicy()))).error
    assert dialled == many[:3]


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
