"""``hooktide tail``, ``replay``, ``listen``: commands that run until done or Ctrl-C."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from accounting import Ledger
from clientkit import Place
from commandkit import Running, going, hooktide
from serverkit import receiving

from hooktide import AsyncClient, Client
from hooktide.cli.commands.listen import _trouble, _type
from hooktide.cli.commands.tail import Following
from hooktide.client import NewEvent
from hooktide.client.requests import call
from hooktide.client.retries import silence
from hooktide.client.server import Server
from hooktide.verify import Verifier
from hooktide.wire.bins import BinRequest, Step
from hooktide.wire.events import Delivery

pytestmark = pytest.mark.asyncio(loop_scope="module")


def new_account(name: str) -> None:
    with Client() as client:
        client.accounts.create(name, project="invoice-maker", plan="pro")


def publish(account: str, count: int = 1) -> list[str]:
    with Client() as client:
        events = [
            NewEvent(account=account, type="invoice.paid", payload={"n": n}) for n in range(count)
        ]
        return [each.id for each in client.events.publish_many(events)]


async def test_tail_shows_each_delivery_and_each_change(place: Place, tmp_path: Path) -> None:
    new_account("tailed")
    with Client() as client:
        kept = client.bins.create()
        client.endpoints.create(kept.url, ["*"], account="tailed")
    [before] = publish("tailed")
    words = ("tail", "--account", "tailed", "--type", "invoice.*", "--json")
    async with going(tmp_path, *words, **place.environment) as running:
        await running.until(lambda it: before in it.out)
        [event] = publish("tailed")
        await running.until(lambda it: _is_delivered(it, event))
        assert await running.interrupt() == 0
    with Client() as client:
        client.projects.apply("namesake", 'name = "namesake"\n[event_types."a.b"]\n')
    async with going(tmp_path, *words, **place.environment) as running:
        await running.until(lambda it: event in it.out)
        with Client(project="namesake") as other:
            other.accounts.create("tailed", project="namesake")
        with Client(project="invoice-maker") as own:
            new = NewEvent(account="tailed", type="invoice.paid", payload={})
            after = own.events.publish(new).id
        await running.until(lambda it: _is_delivered(it, after))
        assert await running.interrupt() == 0
        with Client(project="namesake") as other:
            other.accounts.delete("tailed")
    latest = hooktide("tail", "--account", "tailed", "--no-follow", "-n", "1").ok()
    assert len(latest.out.splitlines()) == 1
    assert "delivered" in latest.out


def _is_delivered(running: Running, event: str) -> bool:
    lines = [json.loads(line) for line in running.out.splitlines() if line.endswith("}")]
    return "delivered" in [line["state"] for line in lines if line["event"] == event]


@pytest.mark.usefixtures("place")
async def test_a_delivery_that_is_retried_is_listed_with_the_last_answer_and_the_next_attempt() -> (
    None
):
    new_account("retried")
    with Client() as client:
        url = client.bins.create().url + "/500"
        hook = client.endpoints.create(url, ["*"], account="retried")
    publish("retried")
    async with asyncio.timeout(60):
        while (
            "status 500, next attempt 2"
            not in hooktide("deliveries", "--endpoint", hook.id).ok().out
        ):
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("place")
async def test_following_tells_each_change_once() -> None:
    new_account("followed-once")
    with Client() as client:
        kept = client.bins.create()
        client.endpoints.create(kept.url, ["*"], account="followed-once")
        following = Following(client, "followed-once", None)
        assert following.begin(10) == []
        events = set(publish("followed-once", 3))
        told: list[tuple[str, str, int]] = []
        async with asyncio.timeout(60):
            while [state for _, state, _ in told].count("delivered") < 3:
                told += [(each.event, each.state, each.attempts) for each in following.poll()]
                await asyncio.sleep(0.02)
        assert {event for event, _, _ in told} == events
        assert len(told) == len(set(told))
        assert following.poll() == []
        again = Following(client, "followed-once", None)
        assert len(again.begin(1)) == 1
        assert again.poll() == []


@pytest.mark.usefixtures("place")
async def test_what_is_delivered_while_it_is_read_is_told_as_pending_first() -> None:
    new_account("followed-late")
    with Client() as client:
        kept = client.bins.create()
        client.endpoints.create(kept.url, ["*"], account="followed-late")
        publish("followed-late")
        async with asyncio.timeout(60):
            while not (
                made := list(client.deliveries.list(state="delivered", account="followed-late"))
            ):
                await asyncio.sleep(0.02)

        class ReadsEarly(Following):
            def _recent(self) -> Iterator[Delivery]:
                yield msgspec.structs.replace(made[0], state="pending", attempts=0)

        following = ReadsEarly(client, "followed-late", None)
        told = [each.state for each in (*following.poll(), *following.poll())]
    assert told[:2] == ["pending", "delivered"]


@pytest.mark.usefixtures("place")
async def test_what_failed_is_counted_and_sent_again() -> None:
    with Client() as client:
        client.projects.apply(
            "once", 'name = "once"\n[plans.p]\nretries = 0\n[event_types."a.b"]\n'
        )
        client.accounts.create("once", project="once")
        kept = client.bins.create([Step(status=500), Step(status=500), Step(status=200)])
        hook = client.endpoints.create(kept.url, ["*"], account="once")
        for _ in range(2):
            client.publish("once", "a.b", {})
        async with asyncio.timeout(60):
            while len(list(client.deliveries.list(endpoint=hook.id, state="failed"))) < 2:
                await asyncio.sleep(0.02)
    words = ("replay", "--failed", "--since", "24h", "--account", "once")
    assert hooktide(*words, "--dry-run", "--json").ok().one["count"]["events"] == 2
    alone = hooktide(*words)
    assert alone.code == 2
    assert "--yes" in alone.err
    done = hooktide(*words, "--yes", "--json").ok()
    assert (done.one["state"], done.one["made"]) == ("done", 2)
    assert hook.id in done.err
    shown = hooktide("replay", done.one["id"]).ok()
    assert "2 deliveries queued" in shown.out
    with Client() as client:
        async with asyncio.timeout(60):
            while len(list(client.deliveries.list(endpoint=hook.id, state="delivered"))) < 2:
                await asyncio.sleep(0.02)
    nothing = hooktide(*words, "--yes", "--json").ok()
    assert nothing.out == ""
    assert "nothing to send again; what is retried has not failed yet" in nothing.err
    with Client() as client:
        client.endpoints.disable(hook.id)
    off = hooktide(*words, "--yes")
    assert off.code == 2
    assert f"{hook.id} is left out, because it is disabled" in off.err


async def test_ctrl_c_leaves_a_replay_to_the_server_which_is_followed_again(
    place: Place, tmp_path: Path
) -> None:
    new_account("slow")
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as port, AsyncClient() as client:
        url = f"http://127.0.0.1:{port}"
        hook = await client.endpoints.create(f"{url}/ok", ["*"], account="slow")
        await client.endpoints.disable(hook.id)
        publish("slow", 900)
        await client.endpoints.update(hook.id, url=f"{url}/hang")
        await client.endpoints.enable(hook.id)
        words = ("replay", "--missed", "--since", "1h", "--endpoint", hook.id, "--yes")
        async with going(tmp_path, *words, **place.environment) as running:
            await running.until(lambda _: ledger.arrived)
            assert await running.interrupt() == 130
            told = running.err
        [replay] = set(re.findall(r"rpl_[0-9a-f]{16}", told))
        assert f"hooktide replay {replay} --cancel" in told
        assert (await client.replays.get(replay)).state == "running"
        assert hooktide("replay", replay, "--no-wait").ok().out.split()[2] == "running"
        attached = hooktide(*words, "--no-wait")
        assert f"already has a running replay, {replay}" in attached.err
        ended = hooktide("replay", replay, "--cancel")
        assert (ended.code, ended.out.split()[2]) == (1, "cancelled")
        await client.endpoints.disable(hook.id)
        ledger.let_go()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--since", "24h"], "--failed"),
        (["--failed", "--missed", "--since", "24h"], "--failed"),
        (["--failed"], "--since 24h"),
        (["--failed", "--since", "yesterday"], "24h or 7d"),
        (["--event", "evt_0000000000000001", "--since", "1h"], "cannot be combined with --since"),
        (["--failed", "--since", "1h", "--endpoint", "ep_0000000000000001"], "no such endpoint"),
    ],
)
async def test_an_incomplete_replay_command_reports_what_is_missing(
    words: list[str], told: str
) -> None:
    said = hooktide("replay", *words)
    assert said.code == 2
    assert told in said.err


async def test_listen_passes_on_what_comes_exactly_and_keeps_its_secret(
    place: Place, tmp_path: Path
) -> None:
    new_account("listener")
    ledger = Ledger()
    home = {**place.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    words = ("listen", "--account", "listener", "--types", "invoice.*", "--json")
    seen = []
    async with receiving(ledger) as port:
        for number, path in enumerate(("/ok", "/fail")):
            target = f"http://127.0.0.1:{port}{path}"
            async with going(tmp_path, *words, target, **home) as running:
                begun = json.loads(await running.until(_first_line))
                seen.append((begun["endpoint"]["id"], begun["secret"]["text"]))
                [event] = publish("listener")
                line = json.loads(await running.until(lambda it: _line(it, 1)))
                assert (line["event"], line["type"]) == (event, "invoice.paid")
                assert line["status"] == (200, 500)[number]
                assert await running.interrupt() == 0
            arrived = ledger.arrived[number]
            verifier = Verifier("invoice-maker", seen[0][1])
            assert verifier.verify(arrived.body, arrived.headers).event_id == event
            assert arrived.headers["host"] == f"127.0.0.1:{port}"
        [meanwhile] = publish("listener")
    assert len(set(seen)) == 1
    assert meanwhile not in [each.event_id for each in ledger.arrived]
    state = tmp_path / "state/hooktide/listen.json"
    assert oct(state.stat().st_mode & 0o777) == "0o600"
    with Client(place.url, place.key) as client:
        [hook] = client.endpoints.list(account="listener")
        assert not hook.enabled
        own = client.keys.create("account", "own", account="listener").key
    with Client(place.url, own) as client:  # an operator's key disabled it for the account
        assert client.endpoints.enable(hook.id).enabled


def _first_line(running: Running) -> str:
    return _line(running, 0)


def _line(running: Running, number: int) -> str:
    lines = running.out.split("\n")
    return lines[number] if len(lines) > number + 1 else ""


async def test_deeply_nested_json_does_not_end_listening() -> None:
    came: dict[str, object] = {
        "id": "req_1",
        "method": "POST",
        "path": "/",
        "headers": [],
        "body": '{"a":' + "[" * 60_000,
        "body_base64": None,
        "body_size": 60_005,
        "body_truncated": False,
        "answered": 200,
        "received_at": "2026-01-31T12:00:00Z",
        "address": "",
        "note": "",
        "signature": {"verdict": "unknown", "reason": ""},
    }
    assert _type(msgspec.convert(came, BinRequest)) == "-"


@pytest.mark.usefixtures("place")
async def test_listen_says_what_is_wrong_with_where_to_send() -> None:
    said = hooktide("listen", "localhost:3000", "--account", "acme")
    assert said.code == 2
    assert "http://localhost:3000/webhooks" in said.err


@pytest.mark.usefixtures("place")
async def test_listen_asks_for_the_account_unless_the_key_is_an_accounts(
    place: Place, tmp_path: Path
) -> None:
    new_account("first")
    home = {**place.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    target = "http://127.0.0.1:9/"
    async with going(tmp_path, "listen", target, "--account", "first", **home) as running:
        await running.until(lambda it: "Ctrl-C" in it.err)
        await running.interrupt()
    said = hooktide("listen", target)
    assert said.code == 2
    assert "--account: name the account" in said.err
    new_account("second")
    with Client() as client:
        own = client.keys.create("account", "own", account="second").key
    async with going(tmp_path, "listen", target, **{**home, "HOOKTIDE_KEY": own}) as running:
        await running.until(lambda it: "Ctrl-C" in it.err)
        assert await running.interrupt() == 0


@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_listen_ends_when_its_endpoint_is_no_longer_sent_to(
    place: Place, tmp_path: Path, how: str
) -> None:
    new_account(f"listener-{how}")
    home = {**place.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    words = ("listen", "http://127.0.0.1:9/", "--account", f"listener-{how}")
    async with going(tmp_path, *words, **home) as running, AsyncClient() as client:
        await running.until(lambda it: "Ctrl-C" in it.err)
        [hook] = [each async for each in client.endpoints.list(account=f"listener-{how}")]
        if how == "disabled":
            await client.endpoints.disable(hook.id)
        else:
            await client.endpoints.delete(hook.id)
        assert await running.ended() == 2
        assert f"{hook.id} was {how}" in running.err
        assert "run this command again" in running.err


async def test_listen_explains_errors() -> None:
    server = Server("http://127.0.0.1:9", "htk_x")
    asked = call("GET", "/v1/bins/x/requests", dict[str, object])
    assert _trouble(silence(server, asked, "timed out", sent=True)) == (
        "the request was sent to http://127.0.0.1:9, but no response arrived (timed out). Trying "
        "again until it "
        "answers."
    )
    assert _trouble(silence(server, asked, "refused", sent=False)).endswith(
        "is the server running? Trying again until it answers."
    )
