"""``python -m bench.throughput``: run the phases one after the other, and say what was found."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.machine import machine, pin, work_folder
from bench.phases import DEFAULT, PHASES
from bench.processes import BenchError
from bench.report import Report, table
from bench.stage import Plan

QUICK_SECONDS = 5.0
NEIGHBOUR_SECONDS = 20.0
QUICK_NEIGHBOUR_SECONDS = 6.0


def main() -> int:
    """Measure, print, and return 1 if something could not be measured."""
    asked = _arguments()
    cores = pin()
    signal.signal(signal.SIGINT, _interrupted)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with work_folder(asked.keep) as folder:
            plan = _plan(asked, folder)
            report = Report(machine=machine(cores, folder), settings=_settings(asked, plan))
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
    parser.add_argument("--against", type=Path, help="a program to compare each row with")
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
        against=asked.against,
    )


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """End in good order, and let a second Ctrl-C not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


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
        **({"against": str(asked.against)} if asked.against else {}),
        **{name: f"{rate:g}" for name, rate in rates.items() if rate},
    }


if __name__ == "__main__":
    sys.exit(main())
