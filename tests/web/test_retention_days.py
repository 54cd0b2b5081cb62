"""Payloads that are kept for less time than their events, by event and by event type."""

from typing import Any

import pytest
from dashkit import seat
from webkit import Site

from hooktide.domain.model import DAY, MINUTE, Role

PAYLOAD = {"remark": "a very private remark"}


async def published(site: Site, **given: Any) -> str:
    body = {"account": "acme", "type": "invoice.paid", "payload": PAYLOAD, **given}
    accepted = (await site.operator.post("/v1/events", body)).ok(202)
    event: str = accepted["id"]
    return event


async def payload_after(site: Site, event: str, days: float) -> Any:
    """Return what is left of the payload once retention has run ``days`` from now."""
    await site.app.store.erase_expired_payloads(site.app.clock() + round(days * DAY), 100)
    return (await site.operator.get(f"/v1/events/{event}")).ok()["payload"]


@pytest.mark.both_databases
async def test_the_payload_of_an_event_is_erased_after_its_days(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    kept, event = await published(site), await published(site, retention_days=7)
    assert await payload_after(site, event, 6.9) == PAYLOAD
    assert await payload_after(site, event, 7.1) is None
    assert await payload_after(site, kept, 29) == PAYLOAD
    shown = (await site.operator.get(f"/v1/events/{event}")).ok()
    assert shown["payload_erased_at"] is not None
    found = (await site.operator.get(f"/v1/endpoints/{made['id']}/deliveries")).ok()["items"]
    [delivery] = [each for each in found if each["event"] == event]
    assert (delivery["state"], delivery["reason"]) == ("discarded", "payload erased")


@pytest.mark.both_databases
async def test_the_days_of_an_event_type_hold_unless_an_event_has_its_own(site: Site) -> None:
    await site.account()
    path = "/v1/event-types/invoice.urgent?project=invoice-maker"
    kind = (await site.operator.put(path, {"retention_days": 10})).ok()
    assert kind["retention_days"] == 10
    assert (await site.operator.get(path)).ok()["retention_days"] == 10
    usual = await published(site, type="invoice.urgent")
    own = await published(site, type="invoice.urgent", retention_days=20)
    assert await payload_after(site, usual, 9.9) == PAYLOAD
    assert await payload_after(site, usual, 10.1) is None
    assert await payload_after(site, own, 19.9) == PAYLOAD
    assert await payload_after(site, own, 20.1) is None


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (4, "4 is not between 5 and 90 days"),
        (91, "91 is not between 5 and 90 days"),
        (31, "31 days are longer than the project's retention, 30d"),
    ],
)
async def test_days_out_of_bounds_are_refused(site: Site, days: int, why: str) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": PAYLOAD, "retention_days": days}
    path = "/v1/event-types/invoice.urgent?project=invoice-maker"
    for answer in (
        await site.operator.post("/v1/events", event),
        await site.operator.put(path, {"retention_days": days}),
    ):
        assert (answer.status, answer.code) == (422, "invalid_retention")
        [wrong] = answer.json["errors"]
        assert (wrong["pointer"], wrong["detail"]) == ("/retention_days", why)


@pytest.mark.both_databases
async def test_each_event_of_a_batch_has_its_own_days(site: Site) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": PAYLOAD}
    days: tuple[dict[str, int], ...] = ({}, {"retention_days": 5}, {"retention_days": 3})
    answer = await site.operator.post("/v1/events", [{**event, **each} for each in days])
    kept, short, wrong = answer.ok(207)["results"]
    assert wrong["problem"]["errors"][0]["pointer"] == "/retention_days"
    assert await payload_after(site, short["id"], 5.1) is None
    assert await payload_after(site, kept["id"], 5.1) == PAYLOAD


async def test_the_same_key_with_other_days_is_another_event(site: Site) -> None:
    await site.account()
    first = await published(site, idempotency_key="one", retention_days=7)
    assert await published(site, idempotency_key="one", retention_days=7) == first
    body = {"account": "acme", "type": "invoice.paid", "payload": PAYLOAD, "idempotency_key": "one"}
    again = await site.operator.post("/v1/events", {**body, "retention_days": 8})
    assert (again.status, again.code) == (422, "idempotency_key_reuse")


@pytest.mark.both_databases
async def test_what_an_attempt_brings_after_the_erasure_is_erased_two_minutes_later(
    site: Site,
) -> None:
    await site.account()
    await site.endpoint()
    await published(site, retention_days=5)
    store, due = site.app.store, site.app.clock() + 5 * DAY + MINUTE
    counts = [
        await store.erase_expired_payloads(due + later, 100)
        for later in (0, MINUTE, 3 * MINUTE, 9 * MINUTE)
    ]
    assert counts == [1, 0, 1, 0]


async def test_the_days_of_an_event_type_are_set_on_its_page(site: Site) -> None:
    await site.account()
    owner = await seat(site, Role.OWNER)
    (await site.operator.put("/v1/event-types/invoice.urgent?project=invoice-maker", {})).ok()
    path = "/dashboard/projects/invoice-maker/event-type?type=invoice.urgent"
    api = "/v1/event-types/invoice.urgent?project=invoice-maker"
    for given, wanted in (("14", 14), ("", None)):
        (await owner.post(path, {"retention_days": given, "example": "{}"})).ok(303)
        assert (await site.operator.get(api)).ok()["retention_days"] == wanted
    for given in ("soon", "-5", "\N{SUPERSCRIPT TWO}", "9" * 5000):
        wrong = await owner.post(path, {"retention_days": given, "example": "{}"})
        assert wrong.status == 422
        assert b"rite a whole number" in wrong.body
