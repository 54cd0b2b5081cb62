"""``bench.compare`` counts correctly, whichever server it measures."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from bench.compare import Load, measure, outcome, quantile
from bench.generator import MARK, PLACE, Generator, Sent
from bench.numbered_receiver import Arrival
from bench.processes import BenchError, Usage
from bench.receiver import free_ports
from bench.target import Target, read_target

NOTHING = (Usage(0.0, 0, 0), 0.0)
TINY = Load(connections=2, seconds=0.3, warm_up=0.2, drain=60)


class Relay(BaseHTTPRequestHandler):
    """A webhook server that forwards each event to the paths, and refuses every third request."""

    protocol_version = "HTTP/1.1"
    port = 0
    paths: tuple[str, ...] = ()
    requests = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.lock:
            Relay.requests += 1
            refused = Relay.requests % 3 == 0
        if not refused:
            self._pass_on(body)
        self.send_response(429 if refused else 202)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"2\r\n{}\r\n0\r\n\r\n")

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for path in self.paths:
            connection.request("POST", path, b"wrapped: " + body)
            connection.getresponse().read()
        connection.close()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    (port,) = free_ports(1)
    monkeypatch.setattr(Relay, "port", port)
    monkeypatch.setattr(Relay, "requests", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Target(
            name="relay",
            url=f"http://127.0.0.1:{server.server_address[1]}/publish",
            body={"n": "{number}"},
            receiver_port=port,
            pids=[],
        )
        server.shutdown()
        thread.join()


def test_each_webhook_is_counted_once_and_what_comes_again_apart(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "paths", ("/a", "/b", "/a"))
    found = measure(msgspec.structs.replace(target, fan_out=2), TINY, tmp_path)
    assert found.accepted > 0
    assert found.refused > 0
    assert found.distinct == 2 * found.accepted
    assert found.again == found.accepted
    assert found.missing == 0
    assert len(found.accept) == found.accepted
    assert len(found.received) == found.distinct


def test_a_server_that_delivers_nothing_is_not_measured(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "paths", ())
    load = Load(connections=1, seconds=0.1, warm_up=0.1, drain=0.5)
    with pytest.raises(BenchError, match="do its endpoints point to"):
        measure(target, load, tmp_path)


def test_what_was_accepted_and_did_not_come_in_is_missing() -> None:
    target = Target(name="t", url="http://a:1/", body="", receiver_port=1, pids=[], events=2)
    sent = [Sent(10.0, 10.0, 10.5, 202), Sent(10.1, 10.1, 10.2, 500), Sent(10.2, 10.3, 11.0, 200)]
    arrivals = [
        Arrival(9.0, 3, "/"),  # of the warm-up
        Arrival(10.4, 100, "/"),
        Arrival(12.0, 101, "/"),
        Arrival(10.7, 103, "/"),  # of a request that was refused
        Arrival(11.5, 104, "/"),
        Arrival(13.0, 104, "/"),
    ]
    found = outcome(target, sent, 100, arrivals, NOTHING, (Usage(3.0, 5, 6), 0.0))
    assert (found.accepted, found.refused, found.distinct) == (4, 1, 3)
    assert (found.again, found.missing, found.in_time) == (1, 1, 1)
    assert found.seconds == pytest.approx(1.0)
    assert found.cpu == pytest.approx(1e6)
    assert found.accept == pytest.approx([500, 800])
    assert found.received == pytest.approx([-100, 500, 1500])


def test_each_event_of_a_batch_has_its_own_number() -> None:
    generator = Generator(1, [b"[%b,%b]" % (PLACE, PLACE)], 0, first=7, events=2)
    numbers = [f"{MARK}{number:016}".encode() for number in (7, 8, 9, 10)]
    assert generator.request(0) == b"[%b,%b]" % (numbers[0], numbers[1])
    assert generator.request(1) == b"[%b,%b]" % (numbers[2], numbers[3])


def test_a_target_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "target.json"
    file.write_text(
        '{"name": "peer", "url": "http://127.0.0.1:8071/api/v1/msg/?x=1", "receiver_port": 9000,'
        ' "headers": {"Authorization": "Bearer k"}, "size": 200, "pids": [1],'
        ' "body": {"eventType": "a.b", "payload": {"id": "{number}", "more": "{padding}"}}}'
    )
    target = read_target(file)
    head, _, body = target.request().partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/msg/?x=1 HTTP/1.1\r\nhost: 127.0.0.1:8071\r\n")
    assert b"\r\nauthorization: Bearer k\r\n" in head
    assert head.endswith(b"content-length: 200")
    assert len(body) == 200
    assert body.count(PLACE) == 1
    assert urlsplit(target.url).port == target.port


def test_the_documented_target_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
    file = tmp_path / "target.json"
    file.write_text(page.partition("```json\n")[2].partition("```")[0])
    assert len(read_target(file).request().partition(b"\r\n\r\n")[2]) == 1024


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "name"),
        ('{"name": "a", "colour": 1}', "colour"),
    ],
)
def test_a_file_that_is_no_target_is_refused_with_the_reason(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "target.json"
    file.write_text(text)
    with pytest.raises(BenchError, match=says):
        read_target(file)


def test_a_body_without_a_number_is_refused() -> None:
    target = Target(name="t", url="http://a:1/", body={"a": 1}, receiver_port=1, pids=[])
    with pytest.raises(BenchError, match="number"):
        target.request()


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)) == (51, 100, 100)
