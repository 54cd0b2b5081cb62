"""How long each door's worst request holds the event loop, in CPU time: 50 ms at most.

Run it as ``python -m bench.doors [WORD]``; ``WORD`` chooses doors by name. Each line has the CPU
milliseconds of the longest turn of the event loop, those of the whole request and of one with a
quarter of the input, how much more each doubling costs (empty: too short to tell), and the answer.
A line is marked if the loop is held for longer, or if the cost grows faster than the input. With
``--held`` the quarter is left out, which takes a fraction of the time.
"""

import argparse
import asyncio
import math
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from doorkit import DOORS, SHOWN, Cost, Door, Place, compare, least, measure, opened

MAX_HELD = 0.05
MAX_RATIO = 2.5
SHORT = 0.005
"""CPU seconds below which a ratio says nothing."""
ROUNDS = 5


async def run(word: str, *, only_held: bool) -> int:
    """Measure the doors; return how many are marked."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as place:
            print("  held ms   cpu ms  quarter  ratio answer                      door")
            chosen = [each for each in [*DOORS, *SHOWN] if word in each.name]
            line = _held_line if only_held else _line
            marked = sum([await line(place, each) for each in chosen])
    print(f"{marked} of {len(chosen)} marked")
    return marked


async def _line(place: Place, door: Door) -> bool:
    enough = MAX_RATIO if door in DOORS else math.inf
    found = await compare(place, door, short=SHORT, rounds=ROUNDS, enough=enough)
    whole, quarter = found.whole, found.quarter
    whole = await _again_if_long(place, door, whole)
    marked = whole.held > MAX_HELD or found.ratio > MAX_RATIO
    less = "" if quarter is None else format(quarter.cpu * 1000, ".1f")
    ratio = format(found.ratio, ".4") if found.ratio else ""
    _print(door, whole, less, ratio, marked=marked)
    return marked


async def _held_line(place: Place, door: Door) -> bool:
    whole = await _again_if_long(place, door, await measure(place, door.make(place, 1.0)))
    marked = whole.held > MAX_HELD
    _print(door, whole, "", "", marked=marked)
    return marked


async def _again_if_long(place: Place, door: Door, whole: Cost) -> Cost:
    """Measure again what held the loop long: by what else runs on this machine, perhaps."""
    if whole.held <= MAX_HELD:
        return whole
    request = door.make(place, 1.0)
    return least([whole, *[await measure(place, request) for _ in range(ROUNDS)]])


def _print(door: Door, whole: Cost, less: str, ratio: str, *, marked: bool) -> None:
    print(
        f"{whole.held * 1000:9.1f} {whole.cpu * 1000:8.1f} {less:>8} {ratio:6} "
        f"{whole.status} {whole.code:23} {door.name}{'  <<<' if marked else ''}",
        flush=True,
    )


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--held", action="store_true", help="only how long the loop is held")
    arguments = parser.parse_args()
    sys.exit(bool(asyncio.run(run(arguments.word, only_held=arguments.held))))


if __name__ == "__main__":
    main()
