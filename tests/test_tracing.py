"""Traces, as a collector gets them and as receivers see them in headers."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accounting import Arrived, Ledger
from collectorkit import Collector, attributes, collecting
from ports import free_port
from serverkit import READY_TIMEOUT, Server, event, raw, receiving, request, serving, set_up

from hooktide.app.tracing import Tracing, publishers_context
from hooktide.runtime.clock import wall_clock

CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


async def publish(server: Server, body: Any, parent: str = "") -> list[str]:
    """Publish one or more events, in a trace if one is given. Return their ids."""
    data = request("POST", "/v1/events", json.dumps(body).encode())
    if parent:
        data = data.replace(b"connection:", f"traceparent: {parent}\r\nconnection:".encode(), 1)
    answer = await raw(server.port, data)
    assert answer.startswith(b"HTTP/1.1 202 "), answer
    made = json.loads(answer.partition(b"\r\n\r\n")[2])
    return [each["id"] for each in made.get("results", [made])]


async def arrivals(ledger: Ledger, count: int) -> list[Arrived]:
    async with asyncio.timeout(READY_TIMEOUT):
        while len(ledger.arrived) < count:
            await asyncio.sleep(0.01)
    return ledger.arrived


async def until_collected(collector: Collector, count: int) -> None:
    async with asyncio.timeout(READY_TIMEOUT):
        while len(collector.spans) < count:
            await asyncio.sleep(0.01)


def told(arrived: Arrived) -> tuple[str, str]:
    """Return the trace id and the span id that a receiver got."""
    version, trace, span, flags = arrived.headers["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    return trace, span


async def test_a_publishers_trace_leads_to_the_events_and_that_to_the_receiver(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    with collecting() as collector:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, "--traces", under=collector.environment()) as server,
        ):
            account, _ = await set_up(server.api, receiver, ("/ok",))
            parent = f"00-{CALLER[0]}-{CALLER[1]}-01"
            both = [event(account, {"n": 1}), event(account, {"n": 2})]
            event_ids = await publish(server, both, parent)
            arrived = await arrivals(ledger, 2)
            await until_collected(collector, 5)
    assert collector.services == {"hooktide"}
    [answered] = collector.named("POST /v1/events")
    assert (answered.trace_id.hex(), answered.parent_span_id.hex()) == CALLER
    roots = {
        str(attributes(span)["hooktide.event"]): span for span in collector.named("accept event")
    }
    assert roots.keys() == set(event_ids)
    assert {link.span_id for link in answered.links} == {span.span_id for span in roots.values()}
    sent = {span.span_id.hex(): span for span in collector.named("deliver thing.happened")}
    for each in arrived:
        trace, span_id = told(each)
        root, attempt = roots[each.event_id], sent[span_id]
        assert [link.span_id for link in root.links] == [answered.span_id]
        assert not root.parent_span_id
        assert root.trace_id.hex() == attempt.trace_id.hex() == trace
        assert attempt.parent_span_id == root.span_id
        known = attributes(attempt)
        assert known["hooktide.event"] == each.event_id
        assert known["hooktide.verdict"] == "delivered"
        assert known["http.response.status_code"] == 200
        assert root.start_time_unix_nano <= attempt.start_time_unix_nano
        assert attempt.start_time_unix_nano < attempt.end_time_unix_nano


async def test_another_process_continues_an_events_trace_and_the_log_has_what_was_sent(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    with collecting() as collector:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, "--traces", under=collector.environment(3_600_000)) as server,
        ):
            account, _ = await set_up(server.api, receiver, ("/fail",))
            [event_id] = await publish(server, event(account))
            await arrivals(ledger, 1)
            await server.stop()
            assert {span.name for span in collector.spans} == {
                "accept event",
                "deliver thing.happened",
            }
            before = len(ledger.arrived)
            await server.start()
            arrived = await arrivals(ledger, before + 1)
            [delivery] = (await server.api.get("/v1/deliveries"))["items"]
            log = (await server.api.get(f"/v1/deliveries/{delivery['id']}/attempts"))["items"]
            await server.stop()
    [root] = collector.named("accept event")
    assert attributes(root)["hooktide.event"] == event_id
    attempts = collector.named("deliver thing.happened")
    assert {told(each)[1] for each in arrived} == {span.span_id.hex() for span in attempts}
    assert {told(each)[0] for each in arrived} == {root.trace_id.hex()}
    assert len({told(each)[1] for each in arrived}) == len(arrived)
    for span in attempts:
        assert (span.trace_id, span.parent_span_id) == (root.trace_id, root.span_id)
        assert span.status.code == 2
    shown = json.dumps(["traceparent", arrived[0].headers["traceparent"]])
    assert shown in json.dumps(log)


async def test_an_endpoints_own_header_stays_its_own(tmp_path: Path) -> None:
    ledger = Ledger()
    with collecting() as collector:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, "--traces", under=collector.environment()) as server,
        ):
            account, _ = await set_up(server.api, receiver, ())
            made = {"account": account, "url": f"http://127.0.0.1:{receiver}/ok"}
            own = {"headers": {"Traceparent": "mine"}, "event_types": ["*"]}
            await server.api.post("/v1/endpoints", made | own)
            await publish(server, event(account))
            [arrived] = await arrivals(ledger, 1)
    assert arrived.headers["traceparent"] == "mine"


async def test_a_collector_that_is_away_holds_up_nothing(tmp_path: Path) -> None:
    ledger, nobody = Ledger(), Collector(free_port())
    async with (
        receiving(ledger) as receiver,
        serving(tmp_path, "--traces", under=nobody.environment()) as server,
    ):
        account, _ = await set_up(server.api, receiver, ("/ok",))
        await publish(server, event(account))
        await arrivals(ledger, 1)
        await server.stop()


async def test_without_traces_receivers_get_no_traceparent(tmp_path: Path) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",))
        await publish(server, event(account), f"00-{CALLER[0]}-{CALLER[1]}-01")
        [arrived] = await arrivals(ledger, 1)
    assert "traceparent" not in arrived.headers


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_traces_a_server_does_not_load_opentelemetry() -> None:
    done = python(
        "import sys, hooktide.cli.commands.serve; sys.exit('opentelemetry' in sys.modules)"
    )
    assert done.returncode == 0, done.stderr


def test_where_opentelemetry_is_not_installed_a_line_says_what_to_do(tmp_path: Path) -> None:
    done = python(
        "import sys; sys.modules['opentelemetry.context'] = None\n"
        "from hooktide.cli import main\n"
        f"sys.argv = ['hooktide', 'serve', '--traces', '--listen', '127.0.0.1:0', "
        f"'--database', '{tmp_path}/x.db']\nmain()"
    )
    assert done.returncode == 2
    assert done.stderr.endswith(
        "hooktide: --traces: traces need OpenTelemetry: pip install 'hooktide[otel]'\n"
    )


def tracing(key: bytes = b"k" * 32) -> Tracing:
    return Tracing(key, wall_clock)


def test_an_events_trace_is_the_same_everywhere_and_another_installations_is_another() -> None:
    one, same, other = tracing(), tracing(), tracing(b"o" * 32)
    assert one.event(7) == same.event(7)
    assert one.event(7).trace_id not in (one.event(8).trace_id, other.event(7).trace_id)


def flags_of(traces: Tracing, event_id: int) -> bytes:
    """Return the trace flags that a receiver of an event gets, which the log has too."""
    head, shown = traces.add_trace_headers(event_id, b"POST / HTTP/1.1\r\n\r\n", b"\r\n")
    assert head == b"POST / HTTP/1.1\r\n" + shown
    return shown[-6:-4]


def test_what_is_not_sampled_is_so_for_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    one, same = tracing(), tracing()
    flags = [flags_of(one, number) for number in range(400)]
    assert flags == [flags_of(same, number) for number in range(400)]
    assert 100 < flags.count(b"01") < 300


@pytest.mark.parametrize(
    "given",
    [
        [b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01"],
        [b"01"],
        [b"00-" + b"a" * 32],
        [f"00-{CALLER[0]}-{CALLER[1]}-01".encode()] * 2,
        [],
    ],
)
def test_an_invalid_traceparent_is_ignored(given: list[bytes]) -> None:
    assert publishers_context({"headers": [(b"traceparent", each) for each in given]}) is None
