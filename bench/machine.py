"""The machine of a benchmark: two of its cores, a folder on a disk, and what to say about it."""

import os
import platform
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

CORES = 2
SYNCS = 100


def pin() -> list[int]:
    """Keep this process, and so all that it starts, on two cores."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return cores


@contextmanager
def work_folder(keep: bool) -> Iterator[Path]:
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


def machine(cores: list[int], folder: Path) -> dict[str, str]:
    """Say on what was measured."""
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
