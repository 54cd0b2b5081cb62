"""``python -m bench.throughput``: run the phases one after the other, and say what was found."""

import argparse
import os
import platform
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import FrameType

from bench.phases import DEFAULT, PHASES
from bench.processes import BenchError
from bench.report import Report, table
from bench.stage import Plan

CORES = 2
QUICK_SECONDS = 5.0
NEIGHBOUR_SECONDS = 20.0
QUICK_NEIGHBOUR_SECONDS = 6.0
SYNCS = 100


def main() -> int:
    """Measure, print, and return 1 if something could not be measured."""
    asked = _arguments()
    cores = _pin()
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with _folder(asked.keep) as folder:
            plan = _plan(asked, folder)
            report = Report(machine=_machine(cores, folder), settings=_settings(asked, plan))
            _run(asked.phases, plan, report)
    except KeyboardInterrupt:
        print("stopped; every process that was started has ended", file=sys.stderr)
        return 130
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{report.text()}")
    if asked.json:
        report.write(asked.json)
    return 1 if report.problems else 0


def _run(phases: list[str], plan: Plan, report: Report) -> None:
    """Run each phase; one that fails is a problem in the report and stops no other."""
    for phase in phases:
        print(f"\n{phase}: {(PHASES[phase].__doc__ or '').strip()}", flush=True)
        try:
            figures = list(PHASES[phase](plan, report))
        except BenchError as error:
            report.problems.append(f"{phase}: {error}")
            print(f"problem: {error}", flush=True)
        else:
            report.figures += figures
            print("\n".join(table(figures)), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.throughput", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each loaded phase (60)")
    parser.add_argument("--quick", action="store_true", help="5 seconds each: to try, not to quote")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--options", default="", help="more of `hooktide serve`, as one word")
    parser.add_argument("--phases", type=_phases, default=DEFAULT, help=", ".join(PHASES))
    parser.add_argument("--connections", type=int, default=128, help="that publish (128)")
    parser.add_argument("--rate", type=float, default=0, help="cap of full, events/s (none)")
    parser.add_argument("--batch-rate", type=float, default=0, help="cap of batches, events/s")
    parser.add_argument("--latency-rate", type=float, default=0, help="of latency (half of full)")
    parser.add_argument("--hooktide", type=Path, help="another installation's program")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--keep", action="store_true", help="keep databases and logs")
    return parser.parse_args()


def _phases(text: str) -> list[str]:
    wanted = text.split(",")
    unknown = set(wanted) - set(PHASES)
    if unknown:
        raise argparse.ArgumentTypeError(f"no phase {', '.join(unknown)}; there is: {[*PHASES]}")
    return [phase for phase in PHASES if phase in wanted]


def _plan(asked: argparse.Namespace, folder: Path) -> Plan:
    return Plan(
        folder=folder,
        program=[str(asked.hooktide)] if asked.hooktide else [sys.executable, "-m", "hooktide"],
        seconds=QUICK_SECONDS if asked.quick else asked.seconds,
        neighbour_seconds=QUICK_NEIGHBOUR_SECONDS if asked.quick else NEIGHBOUR_SECONDS,
        warm_up=1.0 if asked.quick else 3.0,
        connections=asked.connections,
        rate=asked.rate,
        batch_rate=asked.batch_rate,
        latency_rate=asked.latency_rate,
        keep=asked.keep,
        database=asked.database,
        options=asked.options.split(),
    )


def _pin() -> list[int]:
    """Keep this process, and so all that it starts, on two cores."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return cores


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """Make a folder in $TMPDIR, else here: /tmp is often memory, where a sync costs nothing."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("TMPDIR", Path.cwd())))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """End in good order, and let a second Ctrl-C not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _machine(cores: list[int], folder: Path) -> dict[str, str]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": str(len(cores)),
        "Python": _python(),
        "sync of 4 KB": f"{_sync_cost(folder) * 1000:.2f} ms",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _python() -> str:
    """Say which Python this is, and how it was built: that alone is worth up to 1.7 times."""
    asked = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = "--enable-optimizations" in asked or "--with-lto" in asked
    return f"{platform.python_version()} built {'with' if optimised else 'WITHOUT'} optimisations"


def _sync_cost(folder: Path) -> float:
    """Return the median seconds that it takes to write 4 KB and have it on the disk."""
    spent = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            spent.append(time.perf_counter() - start)
    return median(spent)


def _settings(asked: argparse.Namespace, plan: Plan) -> dict[str, str]:
    rates = {"rate": plan.rate, "batch rate": plan.batch_rate, "latency rate": plan.latency_rate}
    return {
        "database": asked.database,
        **({"options": asked.options} if asked.options else {}),
        "phases": "+".join(asked.phases),
        "seconds": f"{plan.seconds:g}",
        "seconds a part of fairness": f"{plan.neighbour_seconds:g}",
        "warm-up": f"{plan.warm_up:g}",
        "connections": str(plan.connections),
        **({"hooktide": str(asked.hooktide)} if asked.hooktide else {}),
        **{name: f"{rate:g}" for name, rate in rates.items() if rate},
    }


if __name__ == "__main__":
    sys.exit(main())
