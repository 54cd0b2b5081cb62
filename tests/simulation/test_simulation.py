"""The whole engine on virtual time: see ``simulation.life``."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from simulation.__main__ import complain
from simulation.ledger import Flight
from simulation.life import simulate
from simulation.mutants import MUTANTS, Mutant
from simulation.network import FLIGHTS
from simulation.world import World

SEEDS = (1, 2, 3, 6, 7, 8, 11, 38, 51)
SHORT = 2
"""A seed whose world is soon over."""


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_in_the_world_of_a_seed(seed: int) -> None:
    report = simulate(seed)
    assert report.failure is None, complain(report)
    assert report.deliveries


def test_a_seed_is_the_same_world_each_time_whatever_sets_are_ordered_by() -> None:
    first = simulate(SHORT)
    assert first.digest == simulate(SHORT).digest
    assert first.digest != simulate(1).digest
    tests = str(Path(__file__).parents[1])
    program = f"from simulation.life import simulate; print(simulate({SHORT}).digest)"
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": tests}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first.digest


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_in_the_code_is_found(mutant: Mutant) -> None:
    with mutant.instead():
        report = simulate(mutant.seed)
    assert report.failure is not None
    assert report.failure.invariant in mutant.invariants, complain(report)
    assert report.failure.story


def test_every_invariant_has_a_fault_that_breaks_it_and_no_other() -> None:
    own = {mutant.invariants[0] for mutant in MUTANTS if len(mutant.invariants) == 1}
    assert own == {*range(1, 11), 12}


def test_what_a_process_does_at_once_is_each_known_by_its_own_attempts() -> None:
    """With two endpoint tests at the same time, one's request is not attributed to the other."""
    world = World(SHORT)
    seen: list[Sequence[Flight]] = []

    async def send(flights: Sequence[Flight]) -> None:
        FLIGHTS.set(flights)
        await asyncio.sleep(1)
        seen.append(FLIGHTS.get())

    async def live() -> None:
        process = await world.start(1)
        both: list[Sequence[Flight]] = [[], ()]
        await asyncio.wait([process.spawn(send(flights)) for flights in both])
        assert [id(each) for each in seen] == [id(each) for each in both]

    world.loop.run(live())
    assert len(seen) == 2
