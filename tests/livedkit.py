"""A database with deliveries in every state, and every kind of history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storekit import LEASE, NOON

from hooktide.domain.audit_log import Actor, AuditEntry, Source
from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.delivery.rest import rest_request
from hooktide.domain.delivery.verdict import Outcome, judge
from hooktide.domain.model import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    ApiKey,
    Attempt,
    Claim,
    DeliveryState,
    Endpoint,
    KeyScope,
    Micros,
    Origin,
    ReplayWhat,
    Role,
    Scope,
    Secret,
)
from hooktide.domain.project.project import EventType, Plan, Project
from hooktide.domain.stats import EndpointHour, ProjectMinute
from hooktide.store.base import Accepted, AttemptRecord, NewEvent, NewReplay, ReplayCount
from hooktide.store.contract import Store

DELAY = 10 * SECOND
BEGAN: Micros = NOON + 70 * MINUTE
ENDED: Micros = BEGAN + 30 * MINUTE

PROJECT = Project(
    name="lived",
    title="Lived",
    event_types=tuple(
        EventType(name=name) for name in ("invoice.paid", "invoice.sent", "contact.created")
    ),
    plans=(
        Plan(name="small", endpoints=3, deliveries_per_hour=3, retries=1),
        Plan(name="large", endpoints=5, deliveries_per_hour=60, retries=1),
    ),
    default_plan="small",
    retry=Retry(delays=(DELAY,)),
    disable_after=3,
    index=("total",),
)


@dataclass
class Life:
    """Acts on a store as a server would. ``endpoints`` are keyed by name."""

    store: Store
    project_id: int = 0
    accounts: dict[str, int] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    async def begin(self) -> None:
        self.project_id = (await self.store.put_project(PROJECT, NOON)).id
        for name, plan in (("acme", "large"), ("umbrella", "small")):
            account = await self.store.create_account(self.project_id, name, "", plan, NOON)
            self.accounts[name] = account.id

    async def create_endpoint(self, name: str, *types: str, account: str = "acme") -> None:
        new = Endpoint(
            id=0,
            project_id=self.project_id,
            account_id=self.accounts[account],
            url=f"https://{name}.example.com/hook",
            event_types=types,
            created_at=0,
            updated_at=0,
        )
        secret = Secret("ab" * 32, b"\xab" * 32)
        self.endpoints[name] = await self.store.create_endpoint(new, secret, 5, NOON + 5 * MINUTE)

    async def publish(self, now: Micros, *types: str, account: str = "acme", key: str = "") -> None:
        events = [self.event(type_, account, key) for type_ in types]
        for added in await self.store.add_events(events, now):
            assert isinstance(added, Accepted)

    def event(self, type_: str, account: str = "acme", key: str = "") -> NewEvent:
        return NewEvent(
            project_id=self.project_id,
            account_id=self.accounts[account],
            type=type_,
            payload=b'{"total":1.10}',
            idempotency_key=key,
            digest=b"d" * 32 if key else b"",
        )

    async def claim(self, now: Micros, *names: str) -> list[Claim]:
        ids = [self.endpoints[name].id for name in names or self.endpoints]
        return list(await self.store.claim_due(ids, now, LEASE, 100))

    async def work(self, now: Micros, **statuses: int) -> None:
        """Attempt every due delivery.

        Endpoints answer with their status in ``statuses``, or 200.
        """
        await self.record(await self.claim(now), now, statuses)

    async def record(
        self, claims: Sequence[Claim], now: Micros, statuses: Mapping[str, int]
    ) -> None:
        names = {endpoint.id: name for name, endpoint in self.endpoints.items()}
        for claim in claims:
            self.store.record(made(claim, now, statuses.get(names[claim.endpoint_id], 200)))
        await self.store.recorded()

    async def deliveries(self, name: str, state: DeliveryState) -> list[Any]:
        found = await self.store.list_deliveries(
            Scope(), None, 100, endpoint_id=self.endpoints[name].id, state=state
        )
        return list(found.items)


def made(claim: Claim, now: Micros, status: int) -> AttemptRecord:
    outcome = Outcome(status=status, duration=5000)
    delays = () if claim.origin is Origin.TEST else (DELAY,)
    verdict = judge(outcome, attempt=claim.attempt, delays=delays, now=now + 5000, rand=0.5)
    attempt = Attempt(
        delivery_id=claim.delivery_id,
        number=claim.attempt,
        started_at=now,
        duration=5000,
        status=status,
        error="",
        detail="",
        request_head=b"POST / HTTP/1.1\r\n\r\n",
        response_head=b"HTTP/1.1 200 OK\r\n\r\n",
        response_body=b"ok",
        response_truncated=False,
    )
    return AttemptRecord(claim, attempt, verdict, rest_request(outcome))


async def live(store: Store) -> Life:
    """Let everything happen once. Some deliveries are left pending, claimed, held and stale."""
    life = Life(store)
    await life.begin()
    await life.create_endpoint("removed", "other.*")
    await life.create_endpoint("good", "*")
    await life.create_endpoint("flaky", "invoice.*")
    await life.create_endpoint("bad", "invoice.paid")
    await life.create_endpoint("quiet", "quiet.*")
    await life.create_endpoint("small", "*", account="umbrella")
    await _removed_with_something_pending(life, BEGAN)
    await life.create_endpoint("gone", "contact.created")
    await _fails_until_it_is_disabled(life, BEGAN + MINUTE)
    await _answers_410(life, BEGAN + 2 * MINUTE)
    await _loses_its_lease_and_answers_all_the_same(life, BEGAN + 3 * MINUTE)
    await _is_tested_and_sent_again(life, BEGAN + 7 * MINUTE)
    await _fails_once(life, BEGAN + 8 * MINUTE)
    await _is_tested_while_disabled(life, BEGAN + 9 * MINUTE)
    await life.publish(BEGAN + 10 * MINUTE, *["invoice.paid"] * 4, account="umbrella")
    await life.work(BEGAN + 10 * MINUTE)
    await life.publish(ENDED, "invoice.paid")
    await life.claim(ENDED, "good")
    await _is_looked_at(life, ENDED)
    await store.run_indexing(ENDED)
    return life


async def _removed_with_something_pending(life: Life, now: Micros) -> None:
    await life.publish(now, "other.thing")
    await life.store.delete_endpoint(Scope(), life.endpoints["removed"].id, now + SECOND)
    await life.store.discard_stale(now + SECOND, 100)
    await life.work(now + 2 * SECOND)


async def _fails_until_it_is_disabled(life: Life, now: Micros) -> None:
    await life.publish(now, "invoice.paid", key="a key")
    await life.publish(now, "invoice.paid", key="another key")
    await life.publish(now, "invoice.paid")
    await life.work(now, bad=500, flaky=503)
    claims = await life.claim(now + 2 * DELAY)
    await life.publish(now + 2 * DELAY, "invoice.paid")
    await life.record(claims, now + 2 * DELAY, {"bad": 500})
    await life.work(now + 2 * DELAY)


async def _answers_410(life: Life, now: Micros) -> None:
    await life.publish(now, "contact.created")
    await life.work(now, gone=410)


async def _loses_its_lease_and_answers_all_the_same(life: Life, now: Micros) -> None:
    await life.publish(now, "contact.updated")
    lost = await life.claim(now, "good")
    later = now + 2 * LEASE
    await life.work(later, good=500)
    await life.record(lost, now + LEASE, {})


async def _is_tested_and_sent_again(life: Life, now: Micros) -> None:
    good = life.endpoints["good"].id
    test = await life.store.add_test(Scope(), good, life.event("invoice.paid"), now, LEASE)
    await life.record([test], now, {"good": 500})
    [delivered, *_] = await life.deliveries("good", DeliveryState.DELIVERED)
    await life.store.resend(Scope(), delivered.id, now)
    wanted = NewReplay(endpoint_id=good, what=ReplayWhat.EVENT, event_id=delivered.event_id)
    await life.store.create_replay(Scope(), wanted, ReplayCount(1), now)
    await life.store.run_replays(now, 100)
    await life.work(now)


async def _is_looked_at(life: Life, now: Micros) -> None:
    good = life.endpoints["good"]
    ann = await life.store.create_user("ann", Role.OWNER, None, now)
    await life.store.create_session(b"s" * 32, ann.id, None, now, now + DAY)
    await life.store.create_login_link(ann.id, b"l" * 32, now + DAY)
    entry = AuditEntry(
        id=0,
        project_id=life.project_id,
        account_id=None,
        actor="ann",
        source="api",
        address="192.0.2.7",
        action="project.put",
        target="lived",
        detail="",
        before={"name": "a"},
        after={"name": "b"},
    )
    await life.store.add_audit_entry(entry, now)
    key = ApiKey(
        id=0,
        scope=KeyScope.OPERATOR,
        project_id=None,
        account_id=None,
        name="lived",
        last4="abcd",
        created_at=now,
    )
    await life.store.create_key(
        key, b"k" * 32, Actor(name="ann", source=Source.API).does("key.create")
    )
    hour = EndpointHour(
        endpoint_id=good.id,
        project_id=life.project_id,
        account_id=good.account_id,
        hour=now // HOUR,
        delivered=1,
        attempts=1,
        last_delivered_at=now,
    )
    minute = ProjectMinute(project_id=life.project_id, minute=now // MINUTE, accepted=1)
    await life.store.add_stats([minute], [hour])


async def _is_tested_while_disabled(life: Life, now: Micros) -> None:
    """One test is recorded, and one is lost."""
    bad = life.endpoints["bad"].id
    tests = [
        await life.store.add_test(Scope(), bad, life.event("invoice.paid"), now, LEASE)
        for _ in range(2)
    ]
    await life.record(tests[:1], now, {"bad": 200})


async def _fails_once(life: Life, now: Micros) -> None:
    """Fail once. The receiver's last response has a Retry-After."""
    await life.publish(now, "invoice.sent")
    await life.work(now, flaky=500)
    await life.work(now + 2 * DELAY, flaky=429)
