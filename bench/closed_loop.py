"""The closed-loop generator: wrk, one thread, each connection asks again when it is answered."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.processes import BenchError, Child

SCRIPT = Path(__file__).with_name("load.lua")


class Answers(msgspec.Struct):
    """What wrk saw: answers, those above 399, broken requests, and latency in microseconds."""

    answers: int
    refused: int
    failed: int
    p50: int
    p99: int


@dataclass(slots=True)
class Wrk:
    """A run of wrk; ``answers`` and ``cpu`` (seconds) are there once it has ended."""

    child: Child
    children_cpu_before: float
    answers: Answers = field(default_factory=lambda: Answers(0, 0, 0, 0, 0))
    cpu: float = 0.0

    def finish(self, within: float) -> None:
        """Wait for its end, and read what it found."""
        self.child.wait(within)
        self.cpu = _children_cpu() - self.children_cpu_before
        lines = self.child.log.read_text().splitlines()
        found = [line.removeprefix("BENCH ") for line in lines if line.startswith("BENCH ")]
        self.answers = msgspec.json.decode(found[-1], type=Answers)
        if self.answers.refused:
            raise BenchError(f"{self.answers.refused} of {self.answers.answers} were refused")


@contextmanager
def wrk(
    requests: Path, *, port: int, seconds: float, connections: int, rate: float
) -> Iterator[Wrk]:
    """Start wrk, and end it; ``rate`` is requests a second at most, 0 for no cap."""
    binary = shutil.which("wrk")
    if binary is None:
        raise BenchError("wrk is missing: install it (Debian: apt install wrk)")
    command = [binary, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests), str(rate)]
    with Child(command, requests.with_name("wrk.log")) as child:
        yield Wrk(child, _children_cpu())


def _children_cpu() -> float:
    """Return the CPU seconds of all children that have ended: wrk is the only one that does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
