"""Clients that publish events and change endpoints, through any process that is running."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import msgspec
from simulation.chance import Chance
from simulation.process import Process
from simulation.world import TYPES, World

from hooktide.actions.endpoints import EndpointSpec
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import HooktideError, RefusedError, UnavailableError
from hooktide.domain.model import HOUR, SECOND, Micros, ReplayWhat, Scope
from hooktide.store.base import Accepted, NewReplay
from hooktide.wire.events import EventIn

MS: Micros = SECOND // 1000
SOMEBODY = Actor(name="somebody", source=Source.API)
PATIENCE = 15.0


class LostError(Exception):
    """No response arrived."""


class Clients:
    """The application that publishes events, and its customers who change endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance.of("clients")
        self._project_id = 0
        self._accounts: list[int] = []
        self._hosts = 0
        self._published = 0
        self._publishing: set[asyncio.Task[None]] = set()

    async def settle_in(self) -> None:
        """Create the project, its accounts and their first endpoints, before any fault occurs."""
        process = self._world.processes[0]
        now = self._world.wall()
        row = await self._ask(lambda each: each.store.put_project(self._world.project, now))
        self._project_id = row.id
        for number in range(self._chance.whole(1, 3)):
            plan = self._chance.one(["small", "large", "large"])
            account = await self._ask(self._create_account(number, plan), process)
            self._accounts.append(account.id)
            for _ in range(self._chance.whole(1, 3)):
                await self._create_endpoint(account.id)

    def _create_account(self, number: int, plan: str) -> Callable[[Process], Awaitable[Any]]:
        name, now = f"acme-{number}", self._world.wall()
        return lambda each: each.store.create_account(self._project_id, name, "", plan, now)

    def busy(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what the clients do during the simulation."""
        yield self._publish()
        yield self._change()
        rates = self._chance.of("rates")
        if 0.4 <= rates.number() < 0.5:
            yield self._limit(rates)

    async def finish(self) -> None:
        """Let clients that still wait for a response retry until they have it."""
        if self._publishing:
            await asyncio.wait(self._publishing)

    # Requests.

    async def _ask(
        self, work: Callable[[Process], Awaitable[Any]], process: Process | None = None
    ) -> Any:
        """Run an operation in a process, and return its result.

        :raises LostError: if no response arrived, or no process is running.
        """
        loop = self._world.loop
        serving = [each for each in self._world.processes if each.ready]
        if process is None:
            if not serving:
                await asyncio.sleep(1)
                raise LostError
            process = self._chance.one(serving)
        answer: asyncio.Future[Any] = loop.create_future()
        await asyncio.sleep(self._chance.scale(MS, 50 * MS) / SECOND)
        _ = process.spawn(self._serve(process, work, answer))
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            raise LostError from None

    async def _serve(
        self,
        process: Process,
        work: Callable[[Process], Awaitable[Any]],
        answer: "asyncio.Future[Any]",
    ) -> None:
        try:
            result, error = await work(process), None
        except HooktideError as refusal:
            result, error = None, refusal
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    # Publishing.

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._chance.scale(3 * SECOND, 10 * 60 * SECOND) / SECOND)
            for _ in range(self._chance.one([1, 1, 1, 2, 4, 10])):
                self._publish_next()

    def _publish_next(self) -> None:
        self._published += 1
        task = self._world.loop.create_task(self._publish_one(self._published))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _publish_one(self, number: int) -> None:
        chance = self._chance.of("event", number)
        key = f"key-{number}" if chance.happens(0.8) else ""
        body = {"n": number, "key": key} if key else {"n": number}
        event = EventIn(
            account=f"acme-{chance.whole(0, len(self._accounts) - 1)}",
            type=chance.one(TYPES),
            payload=msgspec.Raw(msgspec.json.encode(body)),
            idempotency_key=key,
        )
        accepted = await self._until_accepted(event)
        if accepted is None:
            return
        self._world.watch.accepted(key, accepted.event_id)
        if key and chance.happens(0.1):
            await self._use_again(event, accepted)

    async def _until_accepted(self, event: EventIn) -> Accepted | None:
        """Publish an event, and retry if it has a key. Return ``None`` if the result is unknown."""
        scope = Scope(project_id=self._project_id)
        while True:
            try:
                accepted = await self._ask(lambda each: each.publisher.publish(scope, event))
            except (LostError, UnavailableError):
                if not event.idempotency_key:
                    return None
                await asyncio.sleep(self._chance.scale(SECOND, 20 * SECOND) / SECOND)
            else:
                assert isinstance(accepted, Accepted)
                return accepted

    async def _use_again(self, event: EventIn, accepted: Accepted) -> None:
        """Reuse an idempotency key, first for the same event and then for another."""
        again = await self._until_accepted(event)
        if again is not None:
            self._world.watch.accepted(event.idempotency_key, again.event_id)
        other = msgspec.structs.replace(event, payload=msgspec.Raw(b'{"other":1}'))
        try:
            await self._until_accepted(other)
        except RefusedError:
            return
        self._world.ledger.broken(9, f"{event.idempotency_key} was taken for another event")

    # Changes.

    async def _change(self) -> None:
        changes = (
            *[self._switch] * 6,
            *[self._resend] * 4,
            *[self._test] * 3,
            *[self._replay] * 2,
            *[self._rotate] * 2,
            self._move,
            self._retype,
            self._remove,
            self._add,
            self._resume,
            self._change_plan,
            self._list,
        )
        while True:
            await asyncio.sleep(self._chance.scale(10 * SECOND, 20 * 60 * SECOND) / SECOND)
            change = self._chance.one(changes)
            try:
                await change()
            except (LostError, HooktideError) as error:
                self._world.ledger.note("", f"{change.__name__}: {type(error).__name__} {error}")

    async def _limit(self, chance: Chance) -> None:
        """Give endpoints rates, and have many events for them at once when all know of it."""
        while True:
            await asyncio.sleep(chance.scale(20 * SECOND, 10 * 60 * SECOND) / SECOND)
            try:
                await self._limit_one(chance)
            except (LostError, HooktideError) as error:
                self._world.ledger.note("", f"_limit: {type(error).__name__} {error}")
                continue
            await asyncio.sleep(chance.scale(60 * SECOND, 200 * SECOND) / SECOND)
            for _ in range(12):
                self._publish_next()

    async def _limit_one(self, chance: Chance) -> None:
        there = [each for each in self._world.ledger.receivers.values() if not each.removed]
        receiver = chance.one(sorted(there, key=lambda each: each.id))
        rate, burst = chance.one([(1, 1), (2, 2), (2, 1), (5, 10), (0, 0)])
        self._world.ledger.note("", f"somebody gives endpoint {receiver.id:x} the rate {rate}/s")
        receiver.rate = None
        changes = {"rate_limit": rate or None, "burst": burst or None}
        await self._ask(lambda each: each.endpoints.update(SOMEBODY, Scope(), receiver.id, changes))
        receiver.rate = (rate, burst) if rate else None
        receiver.rate_since = self._world.loop.now

    async def _endpoint(self) -> tuple[int, Scope]:
        there = [each for each in self._world.ledger.receivers.values() if not each.removed]
        if not there:
            raise LostError
        found = self._chance.one(sorted(there, key=lambda each: each.id))
        own = self._chance.happens(0.5)
        return found.id, Scope(account_id=found.account_id) if own else Scope()

    async def _switch(self) -> None:
        id_, scope = await self._endpoint()
        on = self._world.ledger.receivers[id_].on
        self._world.ledger.note("", f"somebody {'disables' if on else 'enables'} endpoint {id_:x}")
        if on:
            await self._ask(lambda each: each.endpoints.disable(SOMEBODY, scope, id_))
            await asyncio.sleep(self._chance.scale(SECOND, 600 * SECOND) / SECOND)
        await self._ask(lambda each: each.endpoints.enable(SOMEBODY, Scope(), id_))

    async def _resend(self) -> None:
        ended = [
            each.id
            for each in self._world.ledger.deliveries.values()
            if each.state in {"delivered", "failed"} and each.origin != "test"
        ]
        if ended:
            id_ = self._chance.one(ended[-50:])
            self._world.ledger.note("", "somebody resends it", id_)
            await self._ask(lambda each: each.delivery_actions.resend(SOMEBODY, Scope(), id_))

    async def _test(self) -> None:
        id_, scope = await self._endpoint()
        self._world.ledger.note("", f"somebody tests endpoint {id_:x}")
        await self._ask(lambda each: each.endpoints.test(scope, id_, None))

    async def _replay(self) -> None:
        id_, scope = await self._endpoint()
        what = self._chance.one([ReplayWhat.FAILED, ReplayWhat.MISSED])
        wanted = NewReplay(endpoint_id=id_, what=what, since=self._world.wall() - 2 * HOUR)
        self._world.ledger.note("", f"somebody replays what endpoint {id_:x} {what.value}")
        await self._ask(lambda each: each.replays.start(SOMEBODY, scope, wanted, only_count=False))

    async def _rotate(self) -> None:
        id_, scope = await self._endpoint()
        self._world.ledger.note("", f"somebody rotates the secret of endpoint {id_:x}")
        await self._ask(lambda each: each.endpoints.rotate(SOMEBODY, scope, id_))

    async def _move(self) -> None:
        id_, scope = await self._endpoint()
        changes = {"url": self._new_url()}
        self._world.ledger.note("", f"somebody moves endpoint {id_:x} to {changes['url']}")
        await self._ask(lambda each: each.endpoints.update(SOMEBODY, scope, id_, changes))

    async def _retype(self) -> None:
        id_, scope = await self._endpoint()
        changes = {"event_types": self._patterns()}
        self._world.ledger.note("", f"somebody has endpoint {id_:x} want {changes['event_types']}")
        await self._ask(lambda each: each.endpoints.update(SOMEBODY, scope, id_, changes))

    async def _remove(self) -> None:
        id_, scope = await self._endpoint()
        self._world.ledger.note("", f"somebody removes endpoint {id_:x}")
        await self._ask(lambda each: each.endpoints.delete(SOMEBODY, scope, id_))

    async def _add(self) -> None:
        await self._create_endpoint(self._chance.one(self._accounts))

    async def _resume(self) -> None:
        id_, scope = await self._endpoint()
        self._world.ledger.note("", f"somebody ends the rest of endpoint {id_:x}")
        await self._ask(lambda each: each.endpoints.resume(SOMEBODY, scope, id_))

    async def _change_plan(self) -> None:
        number = self._chance.whole(0, len(self._accounts) - 1)
        plan = self._chance.one(["small", "large"])
        self._world.ledger.note("", f"somebody gives acme-{number} the plan {plan}")
        scope = Scope(project_id=self._project_id)
        await self._ask(
            lambda each: each.accounts.update(SOMEBODY, scope, f"acme-{number}", plan=plan)
        )

    async def _list(self) -> None:
        account_id = self._chance.one(self._accounts)
        scope = Scope(account_id=account_id)
        page = await self._ask(lambda each: each.store.list_deliveries(scope, None, 20))
        for delivery in page.items:
            if self._world.ledger.deliveries[delivery.id].account_id != account_id:
                self._world.ledger.broken(10, "is listed for another account", delivery.id)

    async def _create_endpoint(self, account_id: int) -> None:
        wanted = EndpointSpec(url=self._new_url(), event_types=self._patterns())
        scope = Scope(account_id=account_id)
        self._world.ledger.note("", f"somebody adds {wanted.url}")
        await self._ask(lambda each: each.endpoints.create(SOMEBODY, scope, None, wanted))

    def _new_url(self) -> str:
        self._hosts += 1
        host = f"receiver-{self._hosts}.example.com"
        return self._chance.one([f"https://{host}/hook"] * 8 + [self._chat_url(self._hosts)])

    def _chat_url(self, number: int) -> str:
        return (
            f"https://hooks.slack.com/services/T1/B1/x{number}",
            f"https://discord.com/api/webhooks/{number}/x",
            f"https://receiver-{number}.logic.azure.com/workflows/x",
        )[number % 3]

    def _patterns(self) -> tuple[str, ...]:
        return self._chance.one([("*",), ("invoice.*",), ("invoice.paid",), (TYPES[0], TYPES[2])])
