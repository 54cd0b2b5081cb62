"""Both databases return the same results for the same operations, in any order."""

import asyncio
import dataclasses
import enum
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from auditkit import miscounted
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from postgreskit import database
from storekit import LEASE, NOON, Given, Place

from hooktide.domain.audit_log import SERVER
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import HooktideError
from hooktide.domain.model import (
    MINUTE,
    SECOND,
    ApiKey,
    KeyScope,
    Micros,
    ReplayWhat,
    Role,
    Scope,
    Secret,
)
from hooktide.store.base import AttemptRecord, NewReplay

T = TypeVar("T")
DOES = SERVER.does("lockstep")
SMALLEST_ID = 1 << 60
_ID_IN_TEXT = re.compile(r"(?<=_)[0-9a-f]{16}\b")


class Side:
    """One of the two databases. Each generates its own ids, which are compared by their order."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.store = given.store
        self.names: dict[int, str] = {}

    def plain(self, value: Any) -> Any:
        """Translate a value into the form that both sides share."""
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, bool | None):
            return value
        if isinstance(value, int):
            return self.name(value) if value > SMALLEST_ID else value
        if isinstance(value, str):
            return _ID_IN_TEXT.sub(lambda found: self.name(int(found[0], 16)), value)
        if dataclasses.is_dataclass(value):
            return {
                each.name: self.plain(getattr(value, each.name))
                for each in dataclasses.fields(value)
            }
        if isinstance(value, msgspec.Struct):
            return {name: self.plain(getattr(value, name)) for name in value.__struct_fields__}
        if isinstance(value, Mapping):
            return sorted((self.plain(key), self.plain(each)) for key, each in value.items())
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.plain(each) for each in value]
        return value

    def name(self, id_: int) -> str:
        return self.names.setdefault(id_, f"#{len(self.names)}")

    async def accounts(self) -> Sequence[Any]:
        return (await self.store.list_accounts(Scope(), None, 50)).items

    async def endpoints(self) -> Sequence[Any]:
        return (await self.store.list_endpoints(Scope(), None, 50)).items

    async def deliveries(self) -> Sequence[Any]:
        return (await self.store.list_deliveries(Scope(), None, 200)).items

    async def picture(self) -> list[Any]:
        """Return everything that exists."""
        store = self.store
        events = (await store.list_events(Scope(), None, 200)).items
        accounts = await self.accounts()
        return [
            accounts,
            await self.endpoints(),
            events,
            await self.deliveries(),
            [await store.list_deliveries(Scope(account_id=a.id), None, 3) for a in accounts],
            [await store.list_events(Scope(account_id=a.id), None, 3) for a in accounts],
            await store.list_keys(Scope(), None, 50),
            await store.list_users(),
            await store.list_audit_log(Scope(), None, 100),
            await store.operational_events(100),
            await store.counts(),
            await store.backlog(Scope(), largest=50),
            [await store.backlog(Scope(account_id=a.id)) for a in accounts],
            ((await store.oldest_waiting(Scope())).made_at or 0) // SECOND,
            (await store.oldest_waiting(Scope())).due_at,
            await store.due_heads(),
            await miscounted(self.given.place),
        ]


def one(items: Sequence[T], number: int) -> T | None:
    """Return an existing object, the same on both sides."""
    return items[number % len(items)] if items else None


async def create_account(side: Side, i: int, now: Micros) -> Any:
    plan = ("test", "none")[i % 5 == 4]
    return await side.store.create_account(side.given.project_id, f"a{i}", f"A{i}", plan, now, DOES)


async def update_account(side: Side, i: int, now: Micros) -> Any:
    if (found := one(await side.accounts(), i)) is not None:
        changes = {"name": f"changed {i}"}
        return await side.store.update_account(Scope(), found.id, changes, now, DOES)
    return None


async def delete_account(side: Side, i: int, now: Micros) -> Any:
    if (found := one(await side.accounts(), i)) is not None:
        return await side.store.delete_account(Scope(), found.id, now, DOES)
    return None


async def erase_account(side: Side, i: int, now: Micros) -> Any:
    return [
        await side.store.erase_account(Scope(), 0, f"a{i}", now, DOES),
        await side.store.run_erasures(now + 5 * MINUTE),
    ]


async def search(side: Side, i: int, now: Micros) -> Any:
    text = ("a", "A", "changed", "zz")[i % 4]
    return await side.store.search_accounts(Scope(project_id=side.given.project_id), text, 3)


async def limit(side: Side, i: int, now: Micros) -> Any:
    return await side.given.set_plan(endpoints=None, deliveries_per_hour=(None, 3)[i % 2])


async def create_endpoint(side: Side, i: int, now: Micros) -> Any:
    account = one(await side.accounts(), i)
    types = (("*",), ("invoice.*",), ("invoice.sent",))[i % 3]
    url = f"https://receiver.example.com/{i}"
    # One per account, because an event's deliveries to several endpoints have no defined order.
    return await side.given.create_endpoint(*types, limit=1, url=url, account=account)


async def of_endpoint(side: Side, i: int, now: Micros) -> Any:
    found = one(await side.endpoints(), i // 7)
    if found is None:
        return None
    store, about = side.store, (Scope(), found.id)
    secret = Secret("cd" * 32, b"\xcd" * 32)
    match i % 7:
        case 0:
            return await store.disable_endpoint(*about, "tired", now, DOES)
        case 1:
            return await store.enable_endpoint(*about, now, DOES)
        case 2:
            return await store.resume_endpoint(*about, now, DOES)
        case 3:
            return await store.rotate_secret(*about, secret, (i % 2) * MINUTE, now, DOES)
        case 4:
            changes = {"url": f"https://other.example.com/{i}", "event_types": ("invoice.paid",)}
            return await store.update_endpoint(*about, lambda _: changes, now, DOES)
        case 5:
            return await store.delete_endpoint(*about, now, DOES)
        case _:
            wanted = NewReplay(endpoint_id=found.id, what=ReplayWhat.MISSED, since=NOON)
            counted = await store.count_replay(Scope(), wanted, now)
            return [counted, await store.create_replay(Scope(), wanted, counted, now, DOES)]


async def publish(side: Side, i: int, now: Micros) -> Any:
    account = one(await side.accounts(), i)
    if account is None:
        return None
    type_ = ("invoice.paid", "invoice.sent")[i % 2]
    key = f"k{i}" if i % 3 == 0 else ""
    event = side.given.event(type_, account_id=account.id, idempotency_key=key, digest=b"d")
    return await side.store.add_events([event] * 2, now)


async def deliver(side: Side, i: int, now: Micros) -> Any:
    ids = [endpoint.id for endpoint in await side.endpoints()]
    claims = await side.store.claim_due(ids, now, LEASE, 3)
    for claim in sorted(claims, key=lambda claim: claim.delivery_id):
        verdict = (Delivered(), RetryAt(now + MINUTE), Failed(), Failed())[i % 4]
        attempt = side.given.attempt(claim, 200 if i % 4 == 0 else 500, now)
        side.store.record(AttemptRecord(claim, attempt, verdict))
    await side.store.recorded()
    return len(claims)


async def resend(side: Side, i: int, now: Micros) -> Any:
    if (found := one(await side.deliveries(), i)) is not None:
        return await side.store.resend(Scope(), found.id, now, DOES)
    return None


async def maintenance(side: Side, i: int, now: Micros) -> Any:
    store = side.store
    return [
        await store.run_replays(now + 10 * SECOND, 5),
        await store.unhold(now, 10),
        await store.retire_secrets(now),
        await store.discard_stale(now, 100) > 0,
        await store.log_new(100) >= 0,
        await store.fold_waiting_counts(),
    ]


async def create_key(side: Side, i: int, now: Micros) -> Any:
    key = ApiKey(
        id=0,
        scope=KeyScope.OPERATOR,
        project_id=None,
        account_id=None,
        name=f"k{i}",
        last4="last",
        created_at=now,
    )
    return await side.store.create_key(key, bytes([i % 4]) * 32, DOES)


async def revoke_key(side: Side, i: int, now: Micros) -> Any:
    if (found := one((await side.store.list_keys(Scope(), None, 50)).items, i)) is not None:
        return await side.store.revoke_key(Scope(), found.id, now, DOES, force=i % 2 == 0)
    return None


async def of_user(side: Side, i: int, now: Micros) -> Any:
    users = await side.store.list_users()
    match i % 3:
        case 0:
            role = (Role.OWNER, Role.VIEWER)[i % 2]
            return await side.store.create_user(f"P{i % 4}", role, None, now, DOES)
        case 1 if users:
            changes = {"name": f"p{i % 4}", "role": Role.VIEWER}
            return await side.store.update_user(users[i % len(users)].id, changes, now, DOES)
        case 2 if users:
            return await side.store.delete_user(users[i % len(users)].id, now, DOES)
        case _:
            return None


ASKED: tuple[Callable[[Side, int, Micros], Awaitable[Any]], ...] = (
    create_account,
    update_account,
    delete_account,
    erase_account,
    search,
    limit,
    create_endpoint,
    of_endpoint,
    of_endpoint,
    publish,
    publish,
    deliver,
    deliver,
    resend,
    maintenance,
    create_key,
    revoke_key,
    of_user,
)


class Lockstep(RuleBasedStateMachine):
    """Runs the same operations on both, and compares the results and the state afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.stack = AsyncExitStack()
        self.runner = asyncio.Runner()
        self.sides = self.runner.run(self._open())

    async def _open(self) -> list[Side]:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        url = await self.stack.enter_async_context(database())
        sides = []
        for place in (Place(str(Path(folder) / "test.db")), Place(url)):
            given = Given(place)
            await given.open()
            self.stack.push_async_callback(given.close)
            await given.begin()
            sides.append(Side(given))
        return sides

    @rule(what=st.sampled_from(ASKED), number=st.integers(0, 41))
    def ask(self, what: Callable[[Side, int, Micros], Awaitable[Any]], number: int) -> None:
        self.now += 20 * SECOND
        sqlite, postgres = self.runner.run(self._ask(what, number))
        assert sqlite == postgres

    async def _ask(
        self, what: Callable[[Side, int, Micros], Awaitable[Any]], number: int
    ) -> list[Any]:
        found = []
        for side in self.sides:
            try:
                answer = await what(side, number, self.now)
            except HooktideError as error:
                answer = (type(error).__name__, str(error))
            found.append(side.plain([answer, await side.picture()]))
        return found

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


def test_both_databases_answer_the_same() -> None:
    run_state_machine_as_test(
        Lockstep,
        settings=settings(
            max_examples=6,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes, and the steps are few
        ),
    )
