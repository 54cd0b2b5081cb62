"""The timing of a connection: timeouts, flow control and closing, on virtual time."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from httpcorpus import CLOSE, get, post
from httpkit import Server, Wire, shown
from simulation.loop import VirtualLoop

from hooktide.web.http.exchange import Exchange, Handler
from hooktide.web.http.protocol import (
    KEEP_ALIVE_TIMEOUT,
    LINGER,
    MIN_WRITE_PROGRESS,
    READ_RATE,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
)
from hooktide.web.http.server import HttpServer


def on_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        VirtualLoop().run(test(*args, **named))

    return run


@pytest.fixture
def server() -> Server:
    return Server()


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(happened: Callable[[], bool]) -> float:
    """Return after how many seconds something happened, to a tenth."""
    began = now()
    while not happened():
        await asyncio.sleep(0.1)
    return round(now() - began, 1)


async def drip(wire: Wire, rest: bytes) -> float:
    """Send a byte per second until no more are accepted. Return how many seconds that took."""
    began = now()
    for byte in rest:
        for _ in range(10):
            await asyncio.sleep(0.1)
            if wire.closed or wire.eof:
                return round(now() - began, 1)
        wire.receive(bytes([byte]))
    raise AssertionError("the server is still waiting")


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        (post(b"/", b"x" * 100)[:-100], b"x" * 12),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nff\r\n", b"x" * 12),
        (b"GET / HTTP/1.1\r\nx: ", b"x" * 12),
        (get(b"/204") + b"GET /", b"x" * 12),
    ],
)
@on_virtual_time
async def test_a_request_that_drips_in_is_refused_after_ten_seconds(
    server: Server, begun: bytes, rest: bytes
) -> None:
    wire = server.connect()
    wire.receive(begun)
    assert READ_TIMEOUT <= await drip(wire, rest) <= READ_TIMEOUT + 0.2
    *answered, refused = shown(wire).split("HTTP/1.1 ")[1:]
    assert refused.startswith("408 ")
    assert "/problems/request_timeout" in refused
    assert [each[:3] for each in answered] == ["204"] * begun.count(b"/204")
    assert await until(lambda: wire.closed) <= LINGER + 0.1


@on_virtual_time
async def test_the_rest_of_an_unread_body_may_take_no_longer(server: Server) -> None:
    wire = server.connect()
    wire.receive(post(b"/early", b"x" * 100)[:-100])
    assert READ_TIMEOUT <= await drip(wire, b"x" * 12) <= READ_TIMEOUT + 0.2
    assert shown(wire).count("HTTP/1.1") == 1


@pytest.mark.parametrize("together", [False, True])
@on_virtual_time
async def test_a_request_behind_an_unread_body_has_its_own_ten_seconds(
    server: Server, together: bool
) -> None:
    wire = server.connect()
    wire.receive(post(b"/early", b"x" * 100)[:-1])
    await asyncio.sleep(READ_TIMEOUT - 0.5)
    if together:
        wire.receive(b"x" + get()[:5])
    else:
        wire.receive(b"x")
        await asyncio.sleep(0.1)
        wire.receive(get()[:5])
    await asyncio.sleep(READ_TIMEOUT - 1)
    wire.receive(get()[5:])
    await server.settle([wire])
    assert [each[:3] for each in shown(wire).split("HTTP/1.1 ")[1:]] == ["401", "200"]


TRAILER = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: "
EXTENSION = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1;x="


@pytest.mark.parametrize("begun", [TRAILER, EXTENSION], ids=["trailer", "extension"])
@pytest.mark.parametrize("at_once", [1000, 100_000])
@on_virtual_time
async def test_what_has_no_end_beside_a_body_is_refused_as_a_large_head_is(
    server: Server, begun: bytes, at_once: int
) -> None:
    """The parser concatenates a trailer's value again for each piece."""
    wanted, unwanted = wires = [server.connect() for _ in range(2)]
    wanted.receive(begun % b"/")
    unwanted.receive(begun % b"/early")
    await server.settle(wires)
    for _ in range(100_000 // at_once):
        for wire in wires:
            if not wire.eof:
                wire.receive(b"x" * at_once)
        await server.settle(wires)
    assert shown(wanted).startswith("HTTP/1.1 431 ")
    assert "/problems/head_too_large" in shown(wanted)
    assert wanted.eof
    assert shown(unwanted).endswith("early[closed]")


@on_virtual_time
async def test_a_body_of_many_small_chunks_has_no_trailers_and_some_trailers_are_taken(
    server: Server,
) -> None:
    wire = server.connect()
    head = b"POST /late HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    request = head + b"1;x=y\r\na\r\n" * 20_000 + b"0\r\n" + b"x: y\r\n" * 5000 + b"\r\n"
    wire.receive(request)
    server.release()
    await server.settle([wire])
    assert shown(wire).endswith("20000 bytes[open]")


@on_virtual_time
async def test_a_large_request_has_a_second_more_for_each_50_kilobytes(server: Server) -> None:
    wire = server.connect()
    size = 20 * READ_RATE
    wire.receive(post(b"/begun", b"x" * size)[:-size])
    for _ in range(20):
        await asyncio.sleep(1)
        wire.receive(b"x" * READ_RATE)
    await server.settle([wire])
    assert "http.request" in shown(wire)


@pytest.mark.parametrize("sent", [b"", b"\n" * 12])
@on_virtual_time
async def test_a_connection_that_asks_nothing_is_closed_after_ten_seconds(
    server: Server, sent: bytes
) -> None:
    wire = server.connect()
    for byte in sent:
        wire.receive(bytes([byte]))
    assert await until(lambda: wire.closed) == pytest.approx(READ_TIMEOUT, abs=0.2)
    assert not wire.written


@on_virtual_time
async def test_a_connection_is_kept_for_a_minute_and_line_ends_do_not_keep_it(
    server: Server,
) -> None:
    wires = [server.connect() for _ in range(2)]
    for wire in wires:
        wire.receive(get(b"/204"))
    await server.settle(wires)
    assert READ_TIMEOUT <= await drip(wires[0], b"\n" * 12) <= READ_TIMEOUT + 1.2
    left = KEEP_ALIVE_TIMEOUT - now()
    assert await until(lambda: wires[1].closed) == pytest.approx(left, abs=0.2)


@on_virtual_time
async def test_a_request_that_comes_late_on_a_connection_has_its_ten_seconds(
    server: Server,
) -> None:
    wire = server.connect()
    await asyncio.sleep(READ_TIMEOUT - 1)
    wire.receive(get()[:5])
    await asyncio.sleep(READ_TIMEOUT - 1)
    wire.receive(get()[5:])
    await server.settle([wire])
    assert shown(wire).startswith("HTTP/1.1 200")


@on_virtual_time
async def test_a_client_is_not_late_while_the_server_does_not_read(server: Server) -> None:
    wire = server.connect()
    wire.receive(post(b"/late", b"x" * 200_000)[:-1])
    assert wire.reading_paused
    await asyncio.sleep(5 * READ_TIMEOUT)
    assert not wire.closed
    assert not wire.eof


@on_virtual_time
async def test_a_client_that_does_not_read_is_ended(server: Server) -> None:
    wire = server.connect()
    wire.receive(get(b"/stream"))
    await server.settle([wire])
    wire.waiting = 5
    protocol = wire.protocol
    for seconds in range(int(WRITE_TIMEOUT) + 5):
        protocol.abort_if_stuck(float(seconds))
        assert wire.closed == (seconds >= WRITE_TIMEOUT)
        if wire.closed:
            break


@on_virtual_time
async def test_a_client_that_reads_a_little_each_second_is_not_ended(server: Server) -> None:
    wire = server.connect()
    wire.receive(get(b"/endless"))
    await server.settle([wire])
    seconds = 3 * int(WRITE_TIMEOUT)
    per_second = -(-MIN_WRITE_PROGRESS // (int(WRITE_TIMEOUT) - 1))
    for second in range(seconds):
        wire.waiting = (seconds - second) * per_second
        wire.protocol.abort_if_stuck(float(second))
    assert not wire.closed
    for second in range(seconds, seconds + 2 * int(WRITE_TIMEOUT)):
        wire.protocol.abort_if_stuck(float(second))
    assert wire.closed


@on_virtual_time
async def test_an_unread_body_pauses_the_connection_and_reading_resumes_it(
    server: Server,
) -> None:
    wire = server.connect()
    wire.receive(post(b"/late", b"x" * 200_000)[:-100_000])
    assert wire.reading_paused
    await server.settle([wire])
    assert wire.reading_paused
    server.release()
    await server.settle([wire])
    assert not wire.reading_paused
    wire.receive(b"x" * 100_000)
    await server.settle([wire])
    assert "200000 bytes" in shown(wire)
    assert not wire.reading_paused


@on_virtual_time
async def test_an_application_waits_for_a_client_that_does_not_keep_up(server: Server) -> None:
    wire = server.connect()
    wire.receive(get(b"/endless"))
    wire.protocol.pause_writing()
    await server.settle([wire])
    assert not wire.written
    wire.protocol.resume_writing()
    await server.settle([wire])
    assert len(wire.written) > 1_000_000
    assert wire.largest_write < 400_000


@on_virtual_time
async def test_nothing_more_is_answered_at_once_to_a_client_that_does_not_read(
    server: Server,
) -> None:
    server.state.handlers = {("GET", "/now"): Handler(answer_now)}
    wire = server.connect()
    wire.receive(get(b"/now"))
    await server.settle([wire])
    wire.protocol.pause_writing()
    for _ in range(100):
        if not wire.reading_paused:
            wire.receive(get(b"/now") * 30)
        await server.settle([wire])
    assert wire.reading_paused
    assert shown(wire).count("at once") == 1
    wire.protocol.resume_writing()
    await server.settle([wire])
    assert shown(wire).count("at once") == 31
    assert not wire.reading_paused


@on_virtual_time
async def test_only_the_first_waiting_request_is_notified_of_a_disconnect(
    server: Server,
) -> None:
    wire = server.connect()
    wire.receive(get(b"/waits") + get(b"/2"))
    await server.settle([wire])
    assert len(server.state.tasks) == 1
    wire.close()
    await server.settle([wire])
    assert not server.state.tasks
    assert not wire.written


@on_virtual_time
async def test_no_more_than_some_hundred_pipelined_requests_are_made_of_what_has_come(
    server: Server,
) -> None:
    wire = server.connect()
    protocol = wire.protocol
    wire.receive(post(b"/late", b"a") + get(b"/204") * 6000 + get(b"/last") + get(b"/204"))
    assert wire.reading_paused
    assert len(protocol._exchanges) < 600
    server.release()
    await server.settle([wire])
    told = shown(wire)
    assert told.count("HTTP/1.1 204 ") == 6000
    assert told.endswith("last[closed]")


@on_virtual_time
async def test_pipelined_requests_that_were_kept_are_followed_by_what_comes_later(
    server: Server,
) -> None:
    wire = server.connect()
    data = post(b"/late", b"a") + get(b"/204") * 3000 + post(b"/", b"abc")
    wire.receive(data[:-2])
    server.release()
    await server.settle([wire])
    assert not wire.reading_paused
    wire.receive(data[-2:])
    await server.settle([wire])
    assert shown(wire).count("HTTP/1.1 204 ") == 3000
    assert shown(wire).endswith("body: b'abc'[open]")


@on_virtual_time
async def test_all_waiters_are_notified_of_a_disconnect(server: Server) -> None:
    wire = server.connect()
    wire.receive(get(b"/two-wait"))
    await server.settle([wire])
    assert len(server.state.tasks) == 1
    wire.close()
    await server.settle([wire])
    assert not server.state.tasks


@pytest.mark.parametrize("size", [100, 200_000])
@on_virtual_time
async def test_a_response_that_ends_the_connection_before_the_request_has_come_is_read(
    server: Server, size: int
) -> None:
    """Closing immediately would reset the connection, and the client would not see the response."""
    wire = server.connect()
    wire.receive(post(b"/early", b"x" * size, CLOSE)[:-100])
    await server.settle([wire])
    assert shown(wire).endswith("early[ended]")
    assert not wire.reading_paused
    wire.receive(b"x" * 100)
    assert await until(lambda: wire.closed) == pytest.approx(LINGER, abs=0.2)


def answer_now(exchange: Exchange) -> bool:
    exchange.respond(200, b"at once: " + exchange.body(), [(b"x", b"y")])
    return True


@on_virtual_time
async def test_a_handler_answers_what_has_come_whole_and_the_application_the_rest(
    server: Server,
) -> None:
    server.state.handlers = {
        ("POST", "/handled"): Handler(answer_now),
        ("HEAD", "/handled"): Handler(answer_now),
    }
    request = post(b"/handled", b"abc")
    whole, in_two, head = [server.connect() for _ in range(3)]
    whole.receive(request)
    in_two.receive(request[:-1])
    in_two.receive(request[-1:])
    head.receive(get(b"/handled").replace(b"GET", b"HEAD"))
    await server.settle([whole, in_two, head])
    assert "at once: abc[open]" in shown(whole)
    assert "body: b'abc'[open]" in shown(in_two)
    assert shown(head).endswith("content-length: 9\n\n[open]")


@on_virtual_time
async def test_a_late_handler_keeps_the_order_and_ignores_disconnected_clients(
    server: Server,
) -> None:
    taken: list[Exchange] = []

    def later(exchange: Exchange) -> bool:
        taken.append(exchange)
        return True

    server.state.handlers = {
        ("GET", "/later"): Handler(later),
        ("GET", "/now"): Handler(answer_now),
    }
    wire, gone = server.connect(), server.connect()
    wire.receive(get(b"/later") + get(b"/now") * 3000 + get(b"/later") + get(b"/204"))
    gone.receive(get(b"/later"))
    await server.settle([wire, gone])
    assert not wire.written
    first, of_gone = taken
    first.respond(200, b"first", [])
    await server.settle([wire])
    assert shown(wire).count("at once: ") == 3000
    gone.close()
    await server.settle([gone])
    of_gone.respond(200, b"too late", [])
    taken[2].respond(200, b"last", [])
    await server.settle([wire, gone])
    assert shown(wire).endswith("lastHTTP/1.1 204 No Content\n" + DATE + "\n[open]")
    assert not gone.written


DATE = "date: Sun, 29 Nov 2026 00:00:00 GMT\n"


@on_virtual_time
async def test_nothing_is_begun_behind_an_answer_that_ends_the_connection(server: Server) -> None:
    begun: list[Exchange] = []

    def note(exchange: Exchange) -> bool:
        begun.append(exchange)
        return False

    server.state.handlers = {("GET", "/now"): Handler(answer_now), ("GET", "/2"): Handler(note)}
    wire = server.connect()
    wire.receive(post(b"/late", b"a") + get(b"/now", CLOSE) + get(b"/2"))
    server.release()
    await server.settle([wire])
    assert shown(wire).endswith("at once: [closed]")
    assert not begun


@on_virtual_time
async def test_a_handler_that_raises_is_our_fault_and_ends_the_connection(server: Server) -> None:
    def wrong(exchange: Exchange) -> bool:
        raise ValueError(exchange.head.path)

    server.state.handlers = {("GET", "/wrong"): Handler(wrong)}
    wire = server.connect()
    wire.receive(get(b"/wrong") + get(b"/2"))
    await server.settle([wire])
    told = shown(wire)
    assert told.startswith("HTTP/1.1 500 ")
    assert told.endswith("[closed]")
    assert told.count("HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("sent", "answers", "end"),
    [
        (post(b"/late", b"abc"), ["200"], "3 bytes"),
        (post(b"/late", b"abc") + get(b"/204") + get(), ["200", "204", "200"], "body: b''"),
        (post(b"/late", b"abc") + get()[:-2], ["200"], "3 bytes"),
        (post(b"/late", b"abc") + post(b"/", b"abc")[:-1], ["200"], "3 bytes"),
        (post(b"/late", b"abc") + get(b"/204") * 3000, ["200"] + ["204"] * 3000, "\n"),
        (post(b"/late", b"abc")[:-1], [], ""),
        (post(b"/begun", b"abc")[:-1], ["200"], "begun\n"),
        (post(b"/early", b"abc")[:-1], ["401"], "early"),
        (get(b"/204"), ["204"], "\n"),
        (get()[:-2], [], ""),
        (b"", [], ""),
    ],
)
@on_virtual_time
async def test_a_client_that_ends_its_side_is_answered_what_it_has_asked(
    server: Server, sent: bytes, answers: list[str], end: str
) -> None:
    wire = server.connect()
    wire.receive(sent)
    await server.settle([wire])
    server.release() if wire.reading_paused else wire.receive_eof()
    await server.settle([wire])
    server.release()
    await server.settle([wire])
    wire.receive_eof()
    await server.settle([wire])
    told = shown(wire)
    assert [each[:3] for each in told.split("HTTP/1.1 ")[1:]] == answers
    assert told.endswith(f"{end}[closed]")
    assert not server.state.tasks


@on_virtual_time
async def test_a_stream_ends_with_its_client_side(server: Server) -> None:
    wire = server.connect()
    wire.receive(get(b"/waits-streaming"))
    await server.settle([wire])
    wire.receive_eof()
    await server.settle([wire])
    assert wire.closed
    assert not server.state.tasks


@on_virtual_time
async def test_a_server_that_stops_ends_each_connection_with_its_last_answer(
    server: Server,
) -> None:
    busy, two, idle, half, behind = wires = [server.connect() for _ in range(5)]
    idle.receive(get(b"/204"))
    await server.settle(wires)
    busy.receive(post(b"/late", b"a"))
    two.receive(post(b"/late", b"a") + get(b"/204"))
    half.receive(get()[:10])
    behind.receive(post(b"/late", b"a") + get()[:10])
    await server.settle(wires)
    server.state.ending = True
    for wire in wires:
        wire.protocol.close_if_idle(2.0)
    assert [wire.closed for wire in wires] == [False] * 5
    await asyncio.sleep(2)
    for wire in wires:
        wire.protocol.close_if_idle(2.0)
    assert [wire.closed for wire in wires] == [False, False, True, False, False]
    for wire in wires:
        wire.protocol.shutdown()
    server.release()
    await server.settle(wires)
    last = "connection: close\n"
    assert [shown(wire).count(last) for wire in wires] == [1, 1, 0, 1, 1]
    assert shown(two).count("HTTP/1.1") == 2
    assert "HTTP/1.1 503 " in shown(half)
    assert shown(behind).count("HTTP/1.1") == 1
    await asyncio.sleep(LINGER)
    assert [wire.closed for wire in wires] == [True] * 5


@on_virtual_time
async def test_a_server_that_stops_finishes_what_is_in_flight(server: Server) -> None:
    wire, began = server.connect(), now()
    wire.receive(post(b"/late", b"abc") + get(b"/204"))
    stopping = asyncio.ensure_future(stopped(server, within=60))
    await asyncio.sleep(30)
    server.release()
    await stopping
    assert [each[:3] for each in shown(wire).split("HTTP/1.1 ")[1:]] == ["200", "204"]
    assert now() - began < 31


@on_virtual_time
async def test_what_is_not_finished_when_a_server_has_to_end_is_answered_503(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[Exchange] = []

    def later(exchange: Exchange) -> bool:
        taken.append(exchange)
        return True

    server.state.handlers = {("GET", "/later"): Handler(later)}
    waits, two, handled, streams = wires = [server.connect() for _ in range(4)]
    waits.receive(post(b"/late", b"abc"))
    two.receive(get(b"/204") + post(b"/late", b"abc") + get(b"/204"))
    handled.receive(get(b"/later"))
    streams.receive(get(b"/waits-streaming"))
    await server.settle(wires)
    began = now()
    await stopped(server, within=12)
    assert 10 < now() - began <= 12
    taken[0].respond(200, b"too late", [])
    await server.settle(wires)
    answers = [[each[:3] for each in shown(wire).split("HTTP/1.1 ")[1:]] for wire in wires]
    assert answers == [["503"], ["204", "503"], ["503"], ["200"]]
    for wire in wires[:3]:
        assert shown(wire).count("connection: close") == 1
        assert "/problems/unavailable" in shown(wire)
    assert [wire.closed for wire in wires] == [True] * 4
    assert not server.state.tasks
    assert not caplog.records


async def stopped(server: Server, within: float) -> None:
    """Wait until an HTTP server with these connections has stopped."""

    async def finish() -> None:
        pass

    stopping = HttpServer(
        server.state.application, opened=lambda: None, finish=finish, within=within
    )
    stopping.server_state = server.state
    stopping.begin_to_stop(leave=False)
    await stopping.shutdown()


@pytest.mark.parametrize("turns", range(6))
@on_virtual_time
async def test_a_client_that_ends_its_side_gets_its_response_in_whichever_turn(
    server: Server, turns: int
) -> None:
    wire = server.connect()
    wire.receive(get(b"/204"))
    for _ in range(turns):
        await asyncio.sleep(0)
    wire.receive_eof()
    await until(lambda: wire.closed)
    assert shown(wire).startswith("HTTP/1.1 204 ")
