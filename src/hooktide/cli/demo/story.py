"""The story of one provider in the demo: applied, given a customer, published for, and looked at.

Every step goes through the management API, as a product's engineers would make it; what the two
receivers say (a bin's verdict, a consumer's lines) is compared with what was promised.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from hooktide.cli.demo.consumers import GUIDES, Consumer
from hooktide.cli.demo.screen import Line, Promise
from hooktide.client import AsyncClient, NewEvent, ProblemError
from hooktide.dialects import load, read_shipped
from hooktide.domain.ids import made_at, read
from hooktide.domain.model import SECOND
from hooktide.domain.project.project import EventType, Project
from hooktide.wire.bins import Step
from hooktide.wire.endpoints import EndpointCreated
from hooktide.wire.events import Delivery, EventAccepted

DELIVERED_TIMEOUT = 15.0
_POLL_INTERVAL = 0.05

FAILS_ONCE: Sequence[Step] = [Step(status=500, body="not now\n"), Step()]
"""A bin's script: the first request is refused, the retry and all after it accepted."""


@dataclass(frozen=True, slots=True)
class Twist:
    """What a provider's story shows besides its deliveries."""

    plan: str = ""
    script: Sequence[Step] = ()
    disabled_endpoint: bool = False


TWISTS: Mapping[str, Twist] = {
    "invoice-ahoy": Twist(disabled_endpoint=True),
    "offerte-adviseur": Twist(script=FAILS_ONCE),
    "house-check": Twist(),
    "invoice-maker": Twist(plan="basic"),
    "defacto": Twist(),
}


@dataclass(slots=True)
class Report:
    """What one provider's story came to."""

    title: str
    consumer: Consumer
    account: str = ""
    page_url: str = ""
    bin_url: str = ""
    lines: list[Line] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)


class Story:
    """Tells one provider's story. Its consumer runs until ``stack`` is closed."""

    def __init__(self, client: AsyncClient, stack: AsyncExitStack, name: str) -> None:
        self._client = client
        self._stack = stack
        self._project: Project = load(name)
        self._twist = TWISTS[name]
        self._endpoints: dict[str, str] = {}
        self._guide = GUIDES[name]

    async def run(self) -> Report:
        """Go through the whole story.

        :raises ProblemError: the server refused a step that it should not have.
        """
        consumer = await self._stack.enter_async_context(Consumer(self._guide))
        report = Report(self._project.title, consumer)
        report.account = await self._given_an_account()
        made = await self._client.bins.create(self._twist.script)
        report.page_url, report.bin_url = made.page_url, made.url
        await self._given_endpoints(report.account, made.url, consumer)
        asleep = await self._given_a_disabled_endpoint(report)
        await self._refused(report)

        events = [await self._publish(report.account, kind) for kind in self._project.event_types]
        ended = [await self._ended(event) for event in reversed(events)]
        deliveries = [delivery for each in ended for delivery in each]

        verified = await self._verified_by_bin(made.id)
        verified |= await self._verified_by(consumer, len(events))
        # The API lists the newest first; the story goes forward, the bin before the consumer.
        report.lines = [self._line(delivery, verified) for delivery in reversed(deliveries)]
        report.promises += self._retried(deliveries) + await self._slept(asleep)
        return report

    async def _given_an_account(self) -> str:
        name = self._project.name
        await self._client.projects.apply(name, quick(read_shipped(name)))
        reference = next(iter(self._project.accounts), "customer-1")
        plan = self._twist.plan or None
        account = await self._client.accounts.create(
            reference, project=name, name="A customer", plan=plan
        )
        return account.id

    async def _given_endpoints(self, account: str, bin_url: str, consumer: Consumer) -> None:
        await self._endpoint(account, bin_url, "bin")
        made = await self._endpoint(account, consumer.url, f"{consumer.guide.language} consumer")
        await consumer.use({"text": made.secret.text, "whsec": made.secret.whsec})

    async def _endpoint(self, account: str, url: str, name: str) -> EndpointCreated:
        made = await self._client.endpoints.create(url, ["*"], account=account, name=name)
        self._endpoints[made.id] = name
        return made

    async def _given_a_disabled_endpoint(self, report: Report) -> str:
        if not self._twist.disabled_endpoint:
            return ""
        url = f"{report.bin_url}/200"
        made = await self._endpoint(report.account, url, "disabled")
        await self._client.endpoints.disable(made.id)
        return made.id

    async def _refused(self, report: Report) -> None:
        if self._twist.plan:
            third = self._endpoint(report.account, report.consumer.url, "third")
            text = f"the {self._twist.plan} plan refuses a third endpoint"
            report.promises.append(await _refusal(text, third, "plan_limit_reached"))
        if self._project.mode == "test":
            live = self._publish(report.account, self._project.event_types[0], test=False)
            text = "a project in test mode refuses a live event, and delivers test events"
            report.promises.append(await _refusal(text, live, "project_not_live"))

    async def _publish(
        self, account: str, kind: EventType, *, test: bool | None = None
    ) -> EventAccepted:
        event = NewEvent(
            account=account,
            type=kind.name,
            payload=kind.example.encode(),
            transition=kind.transition,
            test=self._project.mode == "test" if test is None else test,
        )
        return await self._client.events.publish(event)

    async def _ended(self, event: EventAccepted) -> list[Delivery]:
        """Return the deliveries of an event, once they have ended or time is up."""
        deadline = asyncio.get_running_loop().time() + DELIVERED_TIMEOUT
        while True:
            found = [each async for each in self._client.deliveries.list(event=event.id)]
            waits = any(delivery.state in {"pending", "held"} for delivery in found)
            if not waits or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(_POLL_INTERVAL)

    async def _verified_by_bin(self, bin_id: str) -> dict[tuple[str, bool], bool]:
        verified: dict[tuple[str, bool], bool] = defaultdict(lambda: True)
        async for request in self._client.bins.requests(bin_id):
            event = dict(request.headers).get("webhook-id", "")
            verified[event, True] &= request.signature.verdict == "valid"
        return dict(verified)

    async def _verified_by(self, consumer: Consumer, events: int) -> dict[tuple[str, bool], bool]:
        lines = [await consumer.next_line() for _ in range(events)]
        return {(line["delivery"], False): line["verified"] for line in lines}

    def _line(self, delivery: Delivery, verified: Mapping[tuple[str, bool], bool]) -> Line:
        endpoint = self._endpoints[delivery.endpoint]
        return Line(
            provider=self._project.title,
            event=delivery.event_type,
            endpoint=endpoint,
            verified=verified.get((delivery.event, endpoint == "bin"), False),
            attempts=delivery.attempts,
            ms=_took(delivery),
        )

    def _retried(self, deliveries: Sequence[Delivery]) -> list[Promise]:
        if not self._twist.script:
            return []
        again = [delivery for delivery in deliveries if delivery.attempts == 2]
        kept = len(again) == 1 and again[0].state == "delivered"
        text = "a delivery answered 500 is made again, and arrives"
        proof = ", ".join(f"{each.event_type}: {each.attempts} attempts" for each in again)
        return [Promise(text, kept, proof)]

    async def _slept(self, asleep: str) -> list[Promise]:
        if not asleep:
            return []
        count = len([each async for each in self._client.endpoints.deliveries(asleep)])
        text = "a disabled endpoint is sent nothing, and nothing waits for it"
        return [Promise(text, count == 0, f"its deliveries: {count}")]


async def _refusal(text: str, call: Any, code: str) -> Promise:
    try:
        await call
    except ProblemError as error:
        return Promise(text, error.code == code, f"{error.status} {error.code}: {error}")
    return Promise(text, False, "it was accepted")


def _took(delivery: Delivery) -> float | None:
    if delivery.state != "delivered" or delivery.ended_at is None:
        return None
    return (delivery.ended_at.timestamp() - made_at(read("evt", delivery.event)) / SECOND) * 1000


def quick(project_file: str) -> str:
    """Return a project file with its retries a second apart, so that the demo shows one soon."""
    return _RETRY_TABLE.sub("", project_file) + '\n[retry]\ndelays = ["1s"]\n'


_RETRY_TABLE = re.compile(r"^\[retry\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
