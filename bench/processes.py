"""The processes that the benchmark starts: started apart, measured from /proc, ended by pid."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

STOP_TIMEOUT = 20.0
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something that has to be put right before there is a number."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and its descendants: CPU seconds so far, bytes resident now and at their peak."""

    cpu: float
    rss: int
    peak: int


class Child:
    """One process of ours, in a session of its own so that Ctrl-C reaches only the benchmark.

    Use it as a context manager: at the end it gets ``stop_with``, and SIGKILL if it stays.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        stop_with: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = shlex.join(str(word) for word in command)
        self.log = log
        self._stop_with = stop_with
        self.started_at = time.monotonic()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise what it said last, if it has ended."""
        if not self.running:
            raise BenchError(f"`{self.command}` ended unasked. It said:\n{self.said()}")

    def said(self) -> str:
        """Return the last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def usage(self) -> Usage:
        """Return what it and its descendants have used."""
        self.check()
        return usage_of([self._process.pid])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it, with force when asking does not help."""
        if not self.running:
            return
        self._process.send_signal(self._stop_with)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ended(self, within: float) -> bool:
        """Wait so long for its end, and tell whether it has come."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self, within: float) -> None:
        """Wait for its own end, which has to be a good one."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise BenchError(f"`{self.command}` did not end in {within:.0f} s") from None
        if code:
            raise BenchError(f"`{self.command}` ended with {code}. It said:\n{self.said()}")


def usage_of(pids: Sequence[int]) -> Usage:
    """Return what processes and their descendants have used, each counted once.

    :raises BenchError: one of them does not run.
    """
    try:
        tree = {each for pid in pids for each in _tree(pid)}
        memory = [_memory(pid) for pid in tree]
        cpu = sum(_cpu(pid) for pid in tree)
    except (FileNotFoundError, ProcessLookupError):
        raise BenchError(f"one of the processes {[*pids]} has ended") from None
    return Usage(cpu, rss=sum(now for now, _ in memory), peak=sum(peak for _, peak in memory))


def machine_cpu() -> float:
    """Return the CPU seconds that all processes of the machine have used, on all cores."""
    user, nice, system, _idle, _wait, *interrupts = _ticks_of_the_machine()
    return (user + nice + system + sum(interrupts[:3])) / TICKS


def _ticks_of_the_machine() -> list[int]:
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _cpu(pid: int) -> float:
    """Return user and system seconds, those of children that have ended included."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in after_name[11:15]) / TICKS


def _memory(pid: int) -> tuple[int, int]:
    """Return what is resident now and was at most; nothing for a process that is ending."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines if " kB" in line}
    return sizes.get("VmRSS:", 0), sizes.get("VmHWM:", 0)
