"""What filters cost in the writer, beside what sending one event costs.

Run it as ``python -m bench.filter_cost``. In one run it measures CPU for deciding where an event
of 1 KB goes: without a filter, with the payload read for one, and for each further endpoint with
one; and ``bench.sender_cost``. Pairs are alternated, and what is printed is the mean with the upper
end of its 95 % interval.
"""

import itertools
import math
import statistics
import time

import orjson

from bench.sender_cost import measure, receiver
from hooktide.domain.project.project import Project
from hooktide.store.base import NewEvent
from hooktide.store.writing.fanout import Routes

PAIRS = 30
EVENTS = 2000
ENDPOINTS = 10
FILTER = '{"amount":{"$gte":100},"customer":{"country":{"$in":["NL","DE"]}}}'
LINES = [{"sku": f"A{number}", "count": number, "price": 19.95} for number in range(18)]
PAYLOAD = orjson.dumps(
    {"amount": 120, "customer": {"country": "NL", "name": "Acme"}, "lines": LINES}
)
EVENT = NewEvent(project_id=1, account_id=1, type="invoice.paid", payload=PAYLOAD)


def main() -> None:
    """Measure and print."""
    none, one, many = _routes(1, ""), _routes(1, FILTER), _routes(1 + ENDPOINTS, FILTER)
    unfiltered = _routes(1 + ENDPOINTS, "")
    payload: list[float] = []
    endpoint: list[float] = []
    for _ in range(PAIRS):
        alone = _cpu(none)
        with_one = _cpu(one)
        payload.append(with_one - alone)
        endpoint.append((_cpu(many) - with_one - (_cpu(unfiltered) - alone)) / ENDPOINTS)
    with receiver() as port:
        sender = [measure(port, seconds=1.0).micros for _ in range(5)]
    cost = statistics.mean(sender)
    print(f"payload of {len(PAYLOAD):,} bytes; sender alone {cost:.1f} us")
    _say("a payload, with one filter", payload, cost, 0.35)
    _say("each further endpoint with a filter", endpoint, cost, 0.1)


def _routes(endpoints: int, text: str) -> Routes:
    every = [(number, ("*",), text, ()) for number in range(1, endpoints + 1)]
    return Routes(1, Project(name="bench", title="Bench"), "default", every)


def _cpu(routes: Routes) -> float:
    began = time.process_time()
    for _ in itertools.repeat(None, EVENTS):
        if routes.selective:
            tuple(routes.matching(EVENT))
        else:
            routes.to(EVENT.type)
    return (time.process_time() - began) / EVENTS * 1e6


def _say(what: str, found: list[float], sender: float, most: float) -> None:
    mean = statistics.mean(found)
    upper = mean + 1.96 * statistics.stdev(found) / math.sqrt(len(found))
    print(
        f"{what}: {mean:.2f} us, at most {upper:.2f}: "
        f"{upper / sender:.3f} of the sender (limit {most})"
    )


if __name__ == "__main__":
    main()
