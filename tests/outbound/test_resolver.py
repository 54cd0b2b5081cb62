"""DNS queries to a real server on loopback, which lies, changes or does not respond."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from wire import LOOPBACK, NO_CONTENT, keeping, post, receiving

from hooktide.domain.http.address import OwnAddresses, UrlPolicy
from hooktide.outbound import OwnHost, Resolver, Sender
from hooktide.outbound.resolver import DnsAnswer

Script: TypeAlias = Callable[[str, str, int], list[str] | str | None]
"""Name, kind (A, AAAA) and how often it was asked, to addresses, an rcode's name, or silence."""

HOST = "hook.example.com"


@dataclass
class Server(asyncio.DatagramProtocol):
    """A DNS server.

    ``asked`` counts the queries by name and type. ``late`` is the delay in seconds for names that
    begin with ``late``.
    """

    script: Script
    ttl: int
    late: float = 0.0
    port: int = 0
    asked: dict[tuple[str, str], int] = field(default_factory=dict)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked[name, kind] = count = self.asked.get((name, kind), 0) + 1
        said = self.script(name, kind, count)
        if said is None:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if isinstance(said, str):
            answer.set_rcode(dns.rcode.from_text(said))
        elif said:
            rrset = dns.rrset.from_text(query.question[0].name, self.ttl, "IN", kind, *said)
            answer.answer.append(rrset)
        wire = answer.to_wire(max_size=65535)
        delay = self.late if name.startswith("late") else 0.0
        asyncio.get_running_loop().call_later(delay, self._transport.sendto, wire, addr)


@asynccontextmanager
async def serving(script: Script, *, ttl: int = 60, late: float = 0.0) -> AsyncIterator[Server]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Server(script, ttl, late), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


@asynccontextmanager
async def resolving(
    *servers: Server, max_lookups: int = 256, budget: float = 30
) -> AsyncIterator[Resolver]:
    resolver = Resolver(
        nameservers=[f"127.0.0.1:{server.port}" for server in servers],
        budget=budget,
        min_ttl=0.05,
        max_lookups=max_lookups,
    )
    try:
        yield resolver
    finally:
        await resolver.close()


def only_a(*addresses: str) -> Script:
    return lambda _name, kind, _count: list(addresses) if kind == "A" else []


def texts(answer: DnsAnswer) -> list[str]:
    return [str(address) for address in answer.addresses]


async def test_both_families_are_asked_and_taken_in_turn() -> None:
    def script(_name: str, kind: str, _count: int) -> list[str]:
        return ["8.8.8.8", "8.8.4.4"] if kind == "A" else ["2001:4860:4860::8888"]

    async with serving(script) as server, resolving(server) as resolver:
        first, second, third = texts(await resolver.resolve(HOST))
        assert {first, third} == {"8.8.8.8", "8.8.4.4"}
        assert second == "2001:4860:4860::8888"


async def test_a_name_is_asked_for_once_while_its_answer_holds() -> None:
    async with serving(only_a("8.8.8.8")) as server, resolving(server) as resolver:
        answers = await asyncio.gather(*(resolver.resolve(HOST) for _ in range(50)))
        assert len({id(answer) for answer in answers}) == 1
        assert await resolver.resolve(HOST) is answers[0]
        assert server.asked == {(HOST, "A"): 1, (HOST, "AAAA"): 1}


async def test_one_waiter_giving_up_does_not_end_the_lookup_of_the_others() -> None:
    async with serving(only_a("8.8.8.8")) as server, resolving(server) as resolver:
        first = asyncio.create_task(resolver.resolve(HOST))
        second = asyncio.create_task(resolver.resolve(HOST))
        await asyncio.sleep(0)
        first.cancel()
        assert texts(await second) == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("NXDOMAIN", "the name does not exist"),
        ("SERVFAIL", "the name's DNS servers fail (SERVFAIL)"),
        ([], "the name has no address"),
        (None, "no DNS server answered within 0.3 s"),
    ],
)
async def test_a_name_without_an_answer_says_why(
    said: list[str] | str | None, problem: str
) -> None:
    async with (
        serving(lambda _name, _kind, _count: said) as server,
        resolving(server, budget=30 if said is not None else 0.3) as resolver,
    ):
        answer = await resolver.resolve(HOST)
        assert (answer.addresses, answer.problem, answer.local) == ((), problem, False)
        asked = dict(server.asked)
        assert await resolver.resolve(HOST) is answer
        assert server.asked == asked


async def test_no_server_to_ask_is_our_own_trouble() -> None:
    resolver = Resolver(nameservers=["127.0.0.1:1"], budget=30)
    answer = await resolver.resolve(HOST)
    await resolver.close()
    assert (answer.problem, answer.local) == ("no DNS server can be reached", True)


async def test_one_family_is_enough_where_the_other_is_silent() -> None:
    def script(_name: str, kind: str, _count: int) -> list[str] | None:
        return ["8.8.8.8"] if kind == "A" else None

    async with serving(script) as server, resolving(server, budget=3) as resolver:
        assert texts(await resolver.resolve(HOST)) == ["8.8.8.8"]


async def test_an_answer_of_500_addresses_is_read_whole() -> None:
    many = [f"8.8.{n // 250}.{n % 250 + 1}" for n in range(500)]
    async with serving(only_a(*many)) as server, resolving(server) as resolver:
        assert sorted(texts(await resolver.resolve(HOST))) == sorted(many)


async def test_lookups_at_once_are_bounded_and_the_rest_is_our_own_trouble() -> None:
    async with (
        serving(lambda _name, _kind, _count: None) as server,
        resolving(server, max_lookups=2, budget=0.3) as resolver,
    ):
        answers = await asyncio.gather(*(resolver.resolve(f"{n}.example.com") for n in range(3)))
        assert [answer.local for answer in answers] == [False, False, True]


async def test_a_silent_name_does_not_hold_up_the_others() -> None:
    def script(name: str, kind: str, _count: int) -> list[str] | None:
        if name.startswith("dead"):
            return None
        return ["8.8.8.8"] if kind == "A" else []

    async with serving(script) as server, resolving(server) as resolver:
        dead = [asyncio.create_task(resolver.resolve(f"dead{n}.example.com")) for n in range(100)]
        await asyncio.sleep(0)
        assert texts(await resolver.resolve(HOST)) == ["8.8.8.8"]
        assert not any(task.done() for task in dead)
        for task in dead:
            task.cancel()


async def test_a_slow_answer_is_waited_for_after_many_quick_ones() -> None:
    async with (
        serving(only_a("8.8.8.8"), late=0.6) as server,
        resolving(server, budget=20) as resolver,
    ):
        for n in range(10):
            await resolver.resolve(f"quick{n}.example.com")
        assert texts(await resolver.resolve("late.example.com")) == ["8.8.8.8"]


async def test_an_answer_that_comes_after_the_question_was_repeated_counts() -> None:
    async with (
        serving(only_a("8.8.8.8"), late=2.0) as server,
        resolving(server, budget=5.9) as resolver,  # a third of which is over just before
    ):
        assert texts(await resolver.resolve("late.example.com")) == ["8.8.8.8"]
        assert server.asked["late.example.com", "A"] == 2


@pytest.mark.parametrize("said", [None, "SERVFAIL", "REFUSED"])
async def test_the_second_server_is_asked_where_the_first_is_silent_or_fails(
    said: str | None,
) -> None:
    async with (
        serving(lambda _name, _kind, _count: said) as first,
        serving(only_a("8.8.8.8")) as second,
        resolving(first, second, budget=6 if said is None else 30) as resolver,
    ):
        assert texts(await resolver.resolve(HOST)) == ["8.8.8.8"]
        assert first.asked == second.asked == {(HOST, "A"): 1, (HOST, "AAAA"): 1}


async def test_a_server_that_says_that_there_is_no_such_name_is_believed() -> None:
    async with (
        serving(lambda _name, _kind, _count: "NXDOMAIN") as first,
        serving(only_a("8.8.8.8")) as second,
        resolving(first, second) as resolver,
    ):
        assert (await resolver.resolve(HOST)).problem == "the name does not exist"
        assert second.asked == {}


async def test_one_account_holds_a_quarter_of_the_lookups_and_no_more() -> None:
    def script(name: str, kind: str, _count: int) -> list[str] | None:
        if name.startswith("dead"):
            return None
        return ["8.8.8.8"] if kind == "A" else []

    async with serving(script) as server, resolving(server, max_lookups=8) as resolver:
        dead = [
            asyncio.create_task(resolver.resolve(f"dead{n}.example.com", account=1))
            for n in range(2)
        ]
        await asyncio.sleep(0)
        refused = await resolver.resolve(HOST, account=1)
        assert (refused.addresses, refused.local) == ((), True)
        assert texts(await resolver.resolve(HOST, account=2)) == ["8.8.8.8"]
        assert texts(await resolver.resolve(HOST, account=1)) == ["8.8.8.8"]  # known by now
        for task in dead:
            task.cancel()


async def test_lookups_that_are_over_make_room_in_the_share_of_their_account() -> None:
    async with (
        serving(only_a("8.8.8.8")) as server,
        resolving(server, max_lookups=8) as resolver,
    ):
        for n in range(9):
            answer = await resolver.resolve(f"{n}.example.com", account=1)
            assert texts(answer) == ["8.8.8.8"]


async def test_the_hosts_file_is_not_read() -> None:
    async with (
        serving(lambda _name, _kind, _count: "NXDOMAIN") as server,
        resolving(server) as resolver,
    ):
        assert (await resolver.resolve("ip6-localhost")).problem == "the name does not exist"


async def test_a_name_that_is_rebound_is_refused_at_its_next_attempt() -> None:
    """With TTL 0, the first answer is loopback, which is allowed here, and the second private."""

    def script(_name: str, kind: str, count: int) -> list[str]:
        return [] if kind == "AAAA" else ["127.0.0.1" if count == 1 else "10.0.0.1"]

    async with (
        serving(script, ttl=0) as server,
        resolving(server) as resolver,
        receiving(keeping(NO_CONTENT)) as receiver,
    ):
        sender = Sender(LOOPBACK, resolver=resolver)
        assert (await post(sender, receiver, host=HOST)).status == 204
        await asyncio.sleep(0.06)
        assert (await post(sender, receiver, host=HOST)).error == "destination_forbidden"
        assert receiver.connections == 1
        await sender.close()


async def test_a_name_that_moves_stops_using_its_old_connections() -> None:
    def script(_name: str, kind: str, count: int) -> list[str]:
        return [] if kind == "AAAA" else ["127.0.0.1" if count == 1 else "127.0.0.2"]

    async with (
        serving(script, ttl=0) as server,
        resolving(server) as resolver,
        receiving(keeping(NO_CONTENT)) as old,
        receiving(keeping(NO_CONTENT), host="127.0.0.2", port=old.port) as new,
    ):
        sender = Sender(LOOPBACK, resolver=resolver)
        await post(sender, old, host=HOST)
        await asyncio.sleep(0.06)
        await post(sender, old, host=HOST)
        assert (len(old.requests), len(new.requests)) == (1, 1)
        await sender.close()


async def test_a_flapping_name_fails_and_succeeds_with_its_answers() -> None:
    def script(_name: str, kind: str, count: int) -> list[str] | str:
        if count <= 2:  # the resolver asks twice before it gives up
            return "SERVFAIL"
        return ["127.0.0.1"] if kind == "A" else []

    async with serving(script) as server, receiving(keeping(NO_CONTENT)) as receiver:
        outcomes = []
        for _ in range(2):
            async with resolving(server) as resolver:
                sender = Sender(LOOPBACK, resolver=resolver)
                outcomes.append(await post(sender, receiver, host=HOST))
                await sender.close()
        assert [(outcome.error, outcome.status) for outcome in outcomes] == [
            ("dns_error", None),
            ("", 204),
        ]


async def test_a_lookup_counts_toward_the_deadline_of_the_attempt() -> None:
    async with serving(lambda _name, _kind, _count: None) as server:
        resolver = Resolver(nameservers=[f"127.0.0.1:{server.port}"])
        sender = Sender(UrlPolicy(), resolver=resolver)
        outcome = await post(
            sender, 443, scheme="https", host=HOST, timeout=0.2, policy=UrlPolicy()
        )
        assert (outcome.error, outcome.detail) == ("dns_error", "the name was not resolved in time")
        assert 190_000 <= outcome.duration < 60_000_000
        await sender.close()


async def test_the_servers_own_name_keeps_its_addresses_while_dns_is_away() -> None:
    away = False

    def script(_name: str, kind: str, _count: int) -> list[str] | str:
        return "SERVFAIL" if away else ["93.184.216.34"] if kind == "A" else []

    own = OwnAddresses()
    async with serving(script, ttl=0) as server, resolving(server) as resolver:
        host = OwnHost(own, HOST, resolver, interfaces=list)
        await host.refresh()
        away = True
        await asyncio.sleep(0.06)  # the answer's time to live
        await host.refresh()
        assert {str(address) for address in own.addresses} == {"93.184.216.34"}
        assert server.asked[HOST, "A"] > 1
