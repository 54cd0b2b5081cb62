"""The request reader's responses to valid, invalid and hostile requests, however they are split."""

import pytest
from httpcorpus import CORPUS, answers_to, recorded
from httpkit import Server

ANSWERS = recorded()


@pytest.mark.parametrize("name", CORPUS)
async def test_a_request_is_answered_as_before_wherever_it_is_cut(name: str) -> None:
    assert await answers_to(Server(), CORPUS[name]) == ANSWERS[name]


def test_nothing_is_recorded_that_is_not_asked() -> None:
    assert set(ANSWERS) == set(CORPUS)
