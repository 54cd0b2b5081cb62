"""The model of PostgreSQL's sessions returns the same results as a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import apsw
import asyncpg
import pytest
from postgreskit import database
from simulation.sessions import Server

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import MINUTE, SECOND
from hooktide.store.postgres.connection.connection import PgConnection, translated
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.maintenance.migrating import migrate
from hooktide.store.postgres.processes.nodes import NODES_LOCK, SESSION_LOCKS

SQL = statements()
CHANNEL = "hooktide_changed"
NOON = 1_767_268_800 * SECOND


class Sides:
    """Runs the same statements on the real server and the model, and compares the results.

    Sessions are named by a letter.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._model = Server(apsw.Connection(":memory:"), lambda: NOON)
        self._sessions: dict[str, tuple[Any, Any]] = {}
        self._heard: dict[str, tuple[list[str], list[str]]] = {}

    async def connect(self, *names: str) -> None:
        for name in names:
            self._sessions[name] = await asyncpg.connect(self._url), self._model.connect()

    async def ask(self, who: str, name: str, **values: Any) -> list[Any]:
        """Run a statement by its name, and return the result of both."""
        real, model = [await _rows(each, name, values) for each in self._sessions[who]]
        assert model == real
        return real

    async def run(self, who: str, name: str, **values: Any) -> int:
        """Run a statement, and return how many rows both wrote."""
        real, model = [
            await PgConnection(each).run(SQL[name], values) for each in self._sessions[who]
        ]
        assert model == real
        return real

    async def script(self, who: str, text: str) -> None:
        for each in self._sessions[who]:
            await PgConnection(each).script(text)

    def waiting(self, who: str, name: str, **values: Any) -> "list[asyncio.Task[Any]]":
        """Start a statement on both that has to wait."""
        return [asyncio.create_task(_rows(each, name, values)) for each in self._sessions[who]]

    async def listen(self, who: str) -> None:
        self._heard[who] = [], []
        for session, heard in zip(self._sessions[who], self._heard[who], strict=True):
            await session.add_listener(CHANNEL, lambda _s, _p, _c, text, to=heard: to.append(text))

    async def heard(self, who: str, count: int) -> list[str]:
        """Wait for this many notifications on both, and return them."""
        real, model = self._heard[who]
        async with asyncio.timeout(30):
            while min(len(real), len(model)) < count:
                await asyncio.sleep(0.005)
        assert model == real
        return real

    async def lose(self, who: str, frees: int) -> None:
        """Close a session as its client, and wait until the server has freed the lock."""
        for session in self._sessions.pop(who):
            session.terminate()
        watcher = await asyncpg.connect(self._url)
        try:
            async with asyncio.timeout(30):
                while await watcher.fetchval(HELD, frees):
                    await asyncio.sleep(0.005)
        finally:
            await watcher.close()

    async def until_lost(self, who: str) -> None:
        """Wait until both know that a session has ended."""
        async with asyncio.timeout(30):
            while not all(each.is_closed() for each in self._sessions[who]):
                await asyncio.sleep(0.005)

    def pids(self, who: str) -> tuple[int, int]:
        real, model = self._sessions[who]
        return real.get_server_pid(), model.get_server_pid()

    async def terminate(self, who: str, of: str, node: int) -> list[Any]:
        """Let one session terminate another that holds a node's lock."""
        answers = []
        for session, pid in zip(self._sessions[who], self.pids(of), strict=True):
            values = {"lock": SESSION_LOCKS, "node": node, "session": pid}
            answers.append(await _rows(session, "terminate_session", values))
        assert answers[0] == answers[1]
        return answers[0]

    async def close(self) -> None:
        for sessions in self._sessions.values():
            for session in sessions:
                session.terminate()


HELD = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid = $1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def _rows(session: Any, name: str, values: dict[str, Any]) -> list[Any]:
    try:
        return [tuple(row) for row in await PgConnection(session).rows(SQL[name], values)]
    except Exception as error:
        raise translated(error) from error


@pytest.fixture
async def sides() -> AsyncIterator[Sides]:
    async with database() as url:
        await migrate(url)
        sides = Sides(url)
        yield sides
        await sides.close()


def lock(node: int) -> dict[str, int]:
    return {"lock": SESSION_LOCKS, "node": node}


async def take(sides: Sides, who: str, holder: str, at: int = NOON, nodes: int = 3) -> list[Any]:
    values = {"holder": holder, "free_at": at + MINUTE, "lease_shift": 0}
    await sides.script(who, "BEGIN")
    await sides.script(who, f"SELECT pg_advisory_xact_lock({NODES_LOCK})")
    taken = await sides.ask(who, "take_node", **values, nodes=nodes, now=at)
    await sides.script(who, "COMMIT")
    return taken


async def hold(sides: Sides, who: str, node: int, holder: str) -> None:
    await sides.ask(who, "lock_node", **lock(node))
    await sides.ask(who, "hold_node", node=node, holder=holder)


async def test_nodes_are_taken_kept_and_taken_by_others(sides: Sides) -> None:
    await sides.connect("a")
    assert [await take(sides, "a", name) for name in "xyz"] == [[(0, 0)], [(1, 0)], [(2, 0)]]
    assert await take(sides, "a", "late") == []
    kept = {"free_at": NOON + 3 * MINUTE, "lease_shift": 7}
    assert await sides.ask("a", "keep_node", node=0, holder="x", **kept) == [(0,)]
    assert await sides.ask("a", "keep_node", node=0, holder="y", **kept) == []
    assert await take(sides, "a", "w", NOON + MINUTE) == [(1, 0)]
    assert await sides.ask("a", "hold_node", node=1, holder="y") == []
    lately = {"lock": SESSION_LOCKS, "own": -1, "since": NOON, "until": NOON + MINUTE}
    assert await sides.ask("a", "lease_shift", **lately) == [(0, NOON + MINUTE)]
    lately["until"] = NOON + 9 * MINUTE
    assert await sides.ask("a", "lease_shift", **lately) == [(7, NOON + 3 * MINUTE)]
    never = {"lock": SESSION_LOCKS, "own": -1, "since": 0, "until": 1}
    assert await sides.ask("a", "lease_shift", **never) == []
    assert await sides.ask("a", "lease_shift", **{**lately, "own": 0}) == [(0, NOON + 2 * MINUTE)]
    await hold(sides, "a", 2, "z")
    assert await sides.ask("a", "lease_shift", **lately) == [(0, NOON + MINUTE)]
    assert await sides.ask("a", "lease_shift", **never) == [(0, NOON + MINUTE)]
    assert await sides.ask("a", "lease_shift", **{**lately, "own": 2}) == []
    await hold(sides, "a", 0, "x")
    assert await sides.ask("a", "lease_shift", **lately) == [(7, NOON + 3 * MINUTE)]
    lately["until"] = NOON + MINUTE  # x was renewed before the clock was set back, z since
    assert await sides.ask("a", "lease_shift", **lately) == [(0, NOON + MINUTE)]


async def test_a_lock_is_free_once_its_session_is_over(sides: Sides) -> None:
    await sides.connect("a", "b")
    for who, node in (("a", 0), ("b", 1)):
        await take(sides, who, who)
        await hold(sides, who, node, who)
    look = {"lock": SESSION_LOCKS, "own": 1}
    assert await sides.ask("b", "absent_nodes", **look) == []
    assert await sides.ask("b", "try_lock_node", **lock(0)) == [(False,)]
    await sides.lose("a", frees=0)
    assert await sides.ask("b", "absent_nodes", **look) == [(0, 0)]
    assert await sides.ask("b", "absent_nodes", lock=SESSION_LOCKS, own=2) == []


async def test_a_releasing_process_holds_the_lock_until_its_transaction_ends(sides: Sides) -> None:
    await sides.connect("a", "b", "c")
    for who, node in (("a", 0), ("b", 1)):
        await take(sides, who, who)
        await hold(sides, who, node, who)
    await sides.lose("a", frees=0)
    await sides.script("c", "BEGIN")
    assert await sides.ask("c", "try_lock_node", **lock(0)) == [(True,)]
    assert await sides.ask("b", "try_lock_node", **lock(0)) == [(False,)]
    assert await sides.ask("b", "absent_nodes", lock=SESSION_LOCKS, own=1) == []
    assert await sides.run("c", "raise_generation", node=0, generation=1) == 0
    assert await sides.run("c", "raise_generation", node=0, generation=0) == 1
    await sides.connect("a")
    waiting = sides.waiting("a", "lock_node", **lock(0))
    done, _ = await asyncio.wait(waiting, timeout=0.05)
    assert not done
    await sides.script("c", "COMMIT")
    real, model = await asyncio.gather(*waiting)
    assert real == model
    assert await sides.ask("a", "hold_node", node=0, holder="a") == [(1,)]
    assert await sides.run("c", "raise_generation", node=0, generation=1) == 1
    assert await sides.ask("a", "unlock_node", **lock(0)) == [(True,)]
    assert await sides.ask("c", "try_lock_node", **lock(0)) == [(True,)]
    assert await sides.ask("c", "try_lock_node", **lock(0)) == [(True,)]


async def test_a_session_is_ended_by_its_successor(sides: Sides) -> None:
    await sides.connect("a", "b")
    await take(sides, "a", "a")
    await hold(sides, "a", 0, "a")
    assert await sides.terminate("b", of="b", node=0) == []
    assert await sides.terminate("b", of="a", node=0) == [(True,)]
    await sides.ask("b", "lock_node", **lock(0))
    await sides.until_lost("a")
    with pytest.raises(UnavailableError):
        await sides.ask("a", "hold_node", node=0, holder="a")
    assert await sides.ask("b", "hold_node", node=0, holder="a") == [(0,)]


async def test_notifications_arrive_after_the_commit_at_the_sender_too(sides: Sides) -> None:
    await sides.connect("a", "b", "c")
    await sides.listen("a")
    await sides.listen("b")
    for text, end in (("1", "COMMIT"), ("2", "ROLLBACK"), ("3", "COMMIT")):
        await sides.script("a", "BEGIN")
        await sides.ask("a", "notify", channel=CHANNEL, payload=f"{text}a")
        await sides.ask("a", "notify", channel=CHANNEL, payload=f"{text}b")
        await sides.ask("b", "notify", channel="elsewhere", payload="x")
        await sides.script("a", end)
    await sides.ask("c", "notify", channel=CHANNEL, payload="4")
    for who in ("a", "b"):
        assert await sides.heard(who, 5) == ["1a", "1b", "3a", "3b", "4"]
