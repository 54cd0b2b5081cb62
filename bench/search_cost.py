"""What the search index costs: accepting events, which it must not, and indexing them afterwards.

Run it as ``python -m bench.search_cost``. It measures CPU, of all threads, on SQLite: of accepting
events of a project that names no paths beside one that names three, in alternated pairs, and of
indexing them for one, two and three paths. What is printed is the mean with the upper end of its
95 % interval.
"""

import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import Sequence

import orjson

from hooktide.domain.model import SECOND
from hooktide.domain.project.project import Project
from hooktide.runtime.clock import wall_clock
from hooktide.runtime.vault import Vault
from hooktide.store.base import NewEvent
from hooktide.store.contract import Store
from hooktide.store.sqlite import open_sqlite

PAIRS = 20
TURNS = 10
EVENTS = 1_000
BATCH = 100
PATHS = ("invoice.number", "customer.name", "customer.email")
LINES = [{"sku": f"A{number}", "count": number, "price": 19.95} for number in range(18)]


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_sqlite(f"{folder}/bench.db", Vault(b"k" * 32), wall_clock())
        try:
            await _measure(store)
        finally:
            await store.close()


async def _measure(store: Store) -> None:
    accounts = [await _account(store, count) for count in range(len(PATHS) + 1)]
    ratios: list[float] = []
    costs: dict[int, list[float]] = {count: [] for count in range(1, len(PATHS) + 1)}
    for _ in range(PAIRS):
        spent = {0: 0.0, len(PATHS): 0.0}
        for turn in range(TURNS):
            for count in sorted(spent, reverse=bool(turn % 2)):
                spent[count] += await _accept(store, accounts[count], BATCH)
        ratios.append(spent[len(PATHS)] / spent[0])
        await _index(store)
        for count in costs:
            await _accept(store, accounts[count], EVENTS)
            costs[count].append(await _index(store) / EVENTS * 1e6)
    _say("accepting, with three paths beside none", ratios, "")
    for count, found in costs.items():
        _say(f"indexing an event by {count} of the paths", found, " us")


async def _account(store: Store, paths: int) -> tuple[int, int]:
    now = wall_clock()
    project = Project(name=f"p{paths}", title="Bench", index=PATHS[:paths])
    row = await store.put_project(project, now)
    made = await store.create_account(row.id, "acme", "", "default", now)
    return row.id, made.id


async def _accept(store: Store, owner: tuple[int, int], count: int) -> float:
    project_id, account_id = owner
    events = [
        NewEvent(
            project_id=project_id,
            account_id=account_id,
            type="invoice.paid",
            payload=_payload(number),
        )
        for number in range(count)
    ]
    began = time.process_time()
    for start in range(0, count, BATCH):
        await store.add_events(events[start : start + BATCH], wall_clock())
    return time.process_time() - began


def _payload(number: int) -> bytes:
    return orjson.dumps(
        {
            "invoice": {"number": f"INV-2026-{number:06}"},
            "customer": {"name": "Northwind Traders", "email": "ann@northwind.example"},
            "lines": LINES,
        }
    )


async def _index(store: Store) -> float:
    began = time.process_time()
    while await store.run_indexing(wall_clock() + SECOND):
        pass
    return time.process_time() - began


def _say(what: str, found: Sequence[float], unit: str) -> None:
    mean = statistics.mean(found)
    upper = mean + 1.96 * statistics.stdev(found) / math.sqrt(len(found))
    print(f"{what}: {mean:.3f}{unit}, at most {upper:.3f}{unit}")


if __name__ == "__main__":
    asyncio.run(main())
