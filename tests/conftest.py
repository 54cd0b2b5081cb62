"""Rules for the whole suite."""

import functools
import os
import shutil
import sys
from pathlib import Path

# The tests start hundreds of servers, and compiling the source for each would double the cost. This
# comes before the import of hypothesis, which pytest would compile itself in a second or two.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Commits to a test's database would wait for the disk, so it is in memory if there is enough.
MEMORY = Path("/dev/shm")
if (
    MEMORY.is_dir()
    and shutil.disk_usage(MEMORY).free > 4 << 30
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# Properties hold on slow machines too.
SUITE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", SUITE)
settings.register_profile("few", SUITE, max_examples=10)
"""For `make coverage` and `make mutants`: a few examples reach the same lines."""
settings.load_profile("suite")

HERE = Path(__file__).parent
FIRST = ("faults", "e2e")
LAST = ("client", "engine", "outbound", "domain")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the slow files first, so that no worker is still busy with one at the end.

    In CI, no test may be deselected silently.
    """
    items.sort(key=_turn)
    if os.environ.get("HOOKTIDE_NO_SKIPS"):
        skipped = [item.nodeid for item in items if item.get_closest_marker("skip")]
        if skipped:
            raise pytest.UsageError(f"skipped tests are failures here: {skipped}")


def _turn(item: pytest.Item) -> int:
    return _turn_of(item.path)


@functools.cache
def _turn_of(path: Path) -> int:
    folder = path.relative_to(HERE).parts[0]
    return (folder in LAST) - (folder in FIRST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Turn a skip into a failure if the environment says so."""
    report = yield
    if os.environ.get("HOOKTIDE_NO_SKIPS") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where a skip is a failure: {report.longrepr}"
    return report
