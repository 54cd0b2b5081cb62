"""Requests leave nothing in memory once they are answered."""

import gc
import tracemalloc

import msgspec
from webkit import Site

MEGABYTE = 1 << 20


async def test_a_batch_with_a_refused_event_is_forgotten_once_it_is_answered(site: Site) -> None:
    """An error that is kept as a result must not keep references to frames and their payloads.

    There must be no cycle either: a batch of ten megabytes would stay until the next collection.
    """
    await site.account()
    fine = {"account": "acme", "type": "invoice.created", "payload": {"x": "y" * 200_000}}
    refused = [
        fine | {"payload": {"x": "y" * 300_000}},  # refused by the action
        fine | {"type": 1},  # refused by the handler
        fine | {"type": "no.such"},
    ]
    body = msgspec.json.encode([*[fine] * 20, *refused])
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            answer = await site.operator.call("POST", "/v1/events", body=body)
            assert answer.status == 207
            statuses = [each["status"] for each in answer.json["results"]]
            assert statuses == [202] * 20 + [413, 422, 422]
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 5 * MEGABYTE, f"{left / MEGABYTE:.1f} MB are left of {5 * len(body)} bytes"
