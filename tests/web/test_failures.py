"""Internal errors return a problem without internal details, which are in the log."""

import logging
from pathlib import Path

import pytest
from webkit import Client, Site, running

from hooktide.store.sqlite import SqliteStore

OK = {"status": "ok", "reasons": [], "warnings": []}


async def test_a_bug_of_ours_tells_the_caller_an_instance_and_the_log_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as site:
        await site.operator.get("/v1/accounts")
        assert isinstance(site.app.store, SqliteStore)
        site.app.store._readers.close()
        with caplog.at_level(logging.ERROR, logger="hooktide.web"):
            answer = await site.operator.get("/v1/projects")
    assert answer.code == "internal"
    assert answer.status == 500
    assert answer.headers["content-length"] == str(len(answer.body))
    [record] = [one for one in caplog.records if one.name == "hooktide.web"]
    assert answer.json["instance"] in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) not in answer.body.decode()


async def test_a_server_that_stops_is_alive_and_not_ready(site: Site, operator: Client) -> None:
    assert (await operator.get("/health/ready")).ok() == {
        "status": "ok",
        "reasons": [],
        "warnings": [],
    }
    site.app.stopping.set()
    answer = await operator.get("/health/ready")
    assert answer.status == 503
    assert answer.json["reasons"] == ["the server is stopping"]
    assert (await operator.get("/health/live")).ok() == {"status": "ok"}


@pytest.mark.both_databases
async def test_health_and_metrics_ask_for_no_key(site: Site) -> None:
    nobody = site.client("")
    for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json"):
        assert (await nobody.get(path)).status == 200
    assert b"hooktide_events_accepted" in (await nobody.get("/metrics")).body
