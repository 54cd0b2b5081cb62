"""Rules for the whole suite."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the gate nothing may be left out quietly."""
    if os.environ.get("HOOKTIDE_NO_SKIPS"):
        skipped = [item.nodeid for item in items if item.get_closest_marker("skip")]
        if skipped:
            raise pytest.UsageError(f"skipped tests are failures here: {skipped}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Turn a skip into a failure where the environment says so."""
    report = yield
    if os.environ.get("HOOKTIDE_NO_SKIPS") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where a skip is a failure: {report.longrepr}"
    return report
