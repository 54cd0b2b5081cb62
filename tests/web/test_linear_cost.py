"""No request costs more than linear time, on any interface.

The CPU time at the size limit is compared with that at a quarter of it. ``bench/doors.py`` measures
how long the event loop is blocked. The requests are in ``doorkit``.
"""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import pytest
import pytest_asyncio
from doorkit import DOORS, Door, Place, Request, compare, opened

from hooktide.web.pages.framework.forms import parse

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_RATIO = 2.5
SHORT = 0.03
"""CPU seconds below which a cost is not compared: less than what may hold the event loop (50 ms).

Copying a body of 10 MB takes as long, and more than twice as long as one of 5 MB: caches are small.
"""
ROUNDS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with opened(tmp_path_factory.mktemp("doors")) as place:
        yield place


@pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
async def test_twice_the_input_costs_twice_the_time_at_most(place: Place, door: Door) -> None:
    found = await compare(place, door, short=SHORT, rounds=ROUNDS, enough=MAX_RATIO)
    assert found.ratio <= MAX_RATIO


async def test_a_batch_has_so_many_opening_brackets(place: Place) -> None:
    async def refusal(openings: int) -> str:
        """Return the reason why the event, or the whole batch, is refused."""
        around = b'[{"account":"a","type":"a","payload":"%b"}]'
        body = around % (b"[" * (openings - 2))
        answer = await place.ask(Request(path="/v1/events", key=place.project, body=body))
        return answer.json["results"][0]["problem"]["type"] if answer.status == 207 else answer.code

    assert await refusal(1_000_000) == "/problems/body_too_large"
    assert await refusal(1_000_001) == "invalid_batch"


async def test_a_large_form_is_read_as_the_standard_library_reads_it() -> None:
    """The result does not depend on where one piece ends and the next begins."""
    for before in range(4):
        text = "a" * before + "%C3%A9+%2" * 3000
        body = f"a={text}&b&c=%25"
        assert parse(body.encode()) == parse_qsl(body, keep_blank_values=True)
