"""Valid, invalid and hostile requests, each with the response that the server has to give.

The responses are in ``data/http_answers.json``, which ``python tests/httpcorpus.py`` regenerates.
Review its diff like any other change of behaviour.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
from httpkit import Server

ANSWERS = Path(__file__).parent / "data" / "http_answers.json"
SHORT = 1000
"""Bytes below which a request is cut everywhere, and at ``MAX_CUTS`` places else."""
MAX_CUTS = 40
AT_ONCE = 50
"""Connections of one exchange: more would take so long on a busy machine that they time out."""


class Answers(msgspec.Struct):
    """The response to a request. ``cut`` has those that differ when it arrives in two pieces."""

    whole: str
    cut: list[str] = []


def get(path: bytes = b"/", more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nhost: a\r\n%b\r\n" % (path, more)


def post(path: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n%b\r\n"
    return head % (path, len(body), more) + body


def chunked(path: bytes, body: bytes, more: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n%b\r\n"
    return head % (path, more) + body


EXPECT, CLOSE, KEEP = (
    b"expect: 100-continue\r\n",
    b"connection: close\r\n",
    b"connection: keep-alive\r\n",
)
UPGRADE = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n"
H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"


def line(text: bytes, more: bytes = b"host: a\r\n") -> bytes:
    return text + b"\r\n" + more + b"\r\n"


GOOD: Mapping[str, bytes] = {
    "get": get(),
    "query": get(b"/a/b?c=d&e"),
    "query without a value": get(b"/a?"),
    "fragment": get(b"/a?b#c"),
    "escapes": get(b"/a%2Fb/%c3%a9/%ff?%20"),
    "two slashes": get(b"//a//b"),
    "dots": get(b"/a/../b"),
    "absolute form": line(b"GET http://elsewhere.example:99/a?x=1 HTTP/1.1"),
    "absolute form without a path": line(b"GET http://a HTTP/1.1"),
    "absolute form with a query only": line(b"GET http://a?b HTTP/1.1"),
    "options of the server": line(b"OPTIONS * HTTP/1.1"),
    "header names and values": get(
        b"/", b"X-A:b\r\nx-a:  c d \t\r\nX-Empty:\r\nx-b: \xc3\xa9\xff\r\n"
    ),
    "empty lines before": b"\r\n\r\n" + get(),
    "bare line feeds before": b"\n\n" + get(),
    "host empty": line(b"GET / HTTP/1.1", b"host:\r\n"),
    "host ipv6": line(b"GET / HTTP/1.1", b"host: [2001:db8::1]:80\r\n"),
    "head": line(b"HEAD / HTTP/1.1"),
    "head of a stream": line(b"HEAD /stream HTTP/1.1"),
    "head, then get": line(b"HEAD /stream HTTP/1.1") + get(),
    "put": post(b"/", b"abc").replace(b"POST", b"PUT"),
    "delete with a body": post(b"/", b"abc").replace(b"POST", b"DELETE"),
    "get with a body": post(b"/", b"abc").replace(b"POST", b"GET"),
    "post": post(b"/", b"a" * 40),
    "post empty": post(b"/", b""),
    "post without a length": line(b"POST / HTTP/1.1"),
    "chunked": chunked(b"/", b"3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\n"),
    "chunked with a trailer": chunked(b"/", b"1\r\na\r\n0\r\nx-t: 1\r\n\r\n"),
    "chunked empty": chunked(b"/", b"0\r\n\r\n"),
    "chunked twice": chunked(b"/", b"1\r\na\r\n0\r\n\r\n") * 2,
    "1.0": line(b"GET / HTTP/1.0"),
    "1.0 without a host": line(b"GET / HTTP/1.0", b""),
    "1.0 keep-alive": line(b"GET / HTTP/1.0", b"host: a\r\n" + KEEP),
    "1.0 stream": line(b"GET /stream HTTP/1.0"),
    "close": get(b"/", CLOSE),
    "close, and more": get(b"/", CLOSE) + get(b"/more"),
    "keep-alive": get(b"/", KEEP),
    "expect": post(b"/", b"abc", EXPECT),
    "expect of chunks": chunked(b"/", b"1\r\na\r\n0\r\n\r\n", EXPECT),
    "expect, answered early": post(b"/early", b"abc", EXPECT),
    "expect without a body": get(b"/", EXPECT),
    "expect of 1.0": post(b"/", b"abc", EXPECT).replace(b"1.1", b"1.0"),
    "expect something else": post(b"/", b"abc", b"expect: payment\r\n"),
    "pipelined": get(b"/1") + get(b"/2") + get(b"/3"),
    "pipelined bodies": post(b"/1", b"a")
    + chunked(b"/2", b"1\r\nb\r\n0\r\n\r\n")
    + post(b"/3", b"c"),
    "pipelined streams": get(b"/stream") + get(b"/204") + get(b"/stream"),
    "pipelined, the last one closes": get(b"/1") + get(b"/2", CLOSE),
    "pipelined behind one whose body is not read": post(b"/early", b"abc") + get(b"/2"),
    "pipelined behind one that closes": get(b"/last") + get(b"/2"),
    "pipelined behind one that waits": get(b"/waits") + get(b"/2"),
    "many pipelined": get(b"/204") * 30,
    "stream": get(b"/stream"),
    "stream begun before the body is read": post(b"/begun", b"abc"),
    "204": get(b"/204"),
    "304": get(b"/304"),
    "the application closes": get(b"/last"),
    "upgrade": get(b"/", UPGRADE),
    "upgrade, and more": get(b"/", UPGRADE) + get(b"/2"),
    "upgrade to h2c": get(b"/", H2C),
    "upgrade to h2c with a body": post(b"/", b"abc", H2C),
    "upgrade with a body, and more": post(b"/", b"abc", H2C) + get(b"/2"),
    "upgrade with chunks, and more": chunked(b"/", b"1\r\na\r\n0\r\n\r\n", H2C) + get(b"/2"),
    "a large head": get(b"/", b"x: " + b"x" * 50_000 + b"\r\n"),
    "a large body": post(b"/begun", b"x" * 300_000),
}
BAD: Mapping[str, bytes] = {
    "nothing but line ends": b"\r\n" * 10,
    "half a head": get()[:-2],
    "half a body": post(b"/", b"abc")[:-1],
    "half a chunk": chunked(b"/", b"5\r\nab"),
    "half a body of one answered early": post(b"/early", b"abc")[:-1],
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "garbage": b"\x00\x01 no request\r\n\r\n",
    "garbage after a request": get() + b"\x00\x01 no request\r\n\r\n",
    "garbage after two": get(b"/1") + get(b"/2") + b"\x00\x01 no request\r\n\r\n",
    "garbage after one that waits": get(b"/waits") + b"\x00\x01 no request\r\n\r\n",
    "line ends after a request": get() + b"\r\n\r\n",
    "only a method": line(b"GET"),
    "no version": line(b"GET /"),
    "version 9.9": line(b"GET / HTTP/9.9"),
    "version 2.0": line(b"GET / HTTP/2.0"),
    "version 0.9": line(b"GET / HTTP/0.9"),
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method unknown": line(b"BREW / HTTP/1.1"),
    "method in small letters": line(b"get / HTTP/1.1"),
    "trace": line(b"TRACE / HTTP/1.1"),
    "connect": line(b"CONNECT example.com:443 HTTP/1.1"),
    "connect to a path": line(b"CONNECT /a HTTP/1.1"),
    "connect to a path, and more": line(b"CONNECT /a HTTP/1.1") + get(b"/2"),
    "nul in the target": line(b"GET /a\x00 HTTP/1.1"),
    "not ascii in the target": line(b"GET /\xff HTTP/1.1"),
    "not ascii in the query": line(b"GET /a?\xc3\x28 HTTP/1.1"),
    "space in the target": line(b"GET /a b HTTP/1.1"),
    "absolute form without a host": line(b"GET http:// HTTP/1.1"),
    "absolute form with half a host": line(b"GET http://[::1 HTTP/1.1"),
    "no host": line(b"GET / HTTP/1.1", b""),
    "two hosts": line(b"GET / HTTP/1.1", b"host: a\r\nHost: b\r\n"),
    "two equal hosts": line(b"GET / HTTP/1.1", b"host: a\r\nhost: a\r\n"),
    "two hosts of 1.0": line(b"GET / HTTP/1.0", b"host: a\r\nhost: a\r\n"),
    "host with a path": line(b"GET / HTTP/1.1", b"host: a/b\r\n"),
    "host with a user": line(b"GET / HTTP/1.1", b"host: x@y\r\n"),
    "host list": line(b"GET / HTTP/1.1", b"host: a, b\r\n"),
    "no host behind a request": get() + line(b"GET / HTTP/1.1", b""),
    "a head too large": get(b"/", b"x: " + b"x" * 70_000 + b"\r\n"),
    "a target too large": get(b"/" + b"x" * 70_000),
    "a head without end": get(b"/", b"x: " + b"x" * 70_000)[:-2],
    "a head too large behind a request": get() + get(b"/", b"x: " + b"x" * 70_000 + b"\r\n"),
    "many headers": get(b"/204", b"x: y\r\n" * 12_000),
    "length and chunked": post(b"/", b"0\r\n\r\n", b"transfer-encoding: chunked\r\n"),
    "chunked and length": chunked(b"/", b"0\r\n\r\n", b"content-length: 5\r\n"),
    "two lengths": post(b"/", b"abcdef", b"content-length: 5\r\n"),
    "two equal lengths": post(b"/", b"abcdef", b"content-length: 6\r\n"),
    "length below zero": post(b"/", b"abc").replace(b": 3", b": -1"),
    "length of digits and more": post(b"/", b"abc").replace(b": 3", b": 1_0"),
    "length with a plus": post(b"/", b"abc").replace(b": 3", b": +3"),
    "length too large": post(b"/", b"abc").replace(b": 3", b": 99999999999999999999999"),
    "length list": post(b"/", b"abc").replace(b": 3", b": 3, 3"),
    "gzip": chunked(b"/", b"x").replace(b"chunked", b"gzip"),
    "gzip, identity": chunked(b"/", b"x").replace(b"chunked", b"gzip, identity"),
    "gzip, chunked": chunked(b"/", b"1\r\na\r\n0\r\n\r\n").replace(b"chunked", b"gzip, chunked"),
    "gzip, then chunked": post(b"/", b"0\r\n\r\n", b"transfer-encoding: chunked\r\n").replace(
        b"content-length: 5", b"transfer-encoding: gzip"
    ),
    "chunked, then gzip": chunked(b"/", b"0\r\n\r\n", b"transfer-encoding: gzip\r\n"),
    "chunked in capitals": chunked(b"/", b"0\r\n\r\n").replace(b": chunked", b": Chunked"),
    "chunked, gzip": chunked(b"/", b"x").replace(b"chunked", b"chunked, gzip"),
    "chunked twice over": chunked(b"/", b"0\r\n\r\n", b"transfer-encoding: chunked\r\n"),
    "xchunked": chunked(b"/", b"0\r\n\r\n").replace(b"chunked", b"xchunked"),
    "chunked with a tab": chunked(b"/", b"0\r\n\r\n").replace(b"chunked", b"\x0bchunked"),
    "chunked of 1.0": chunked(b"/", b"0\r\n\r\n").replace(b"1.1", b"1.0"),
    "chunk size no number": chunked(b"/", b"nothing\r\n"),
    "chunk size below zero": chunked(b"/", b"-1\r\na\r\n0\r\n\r\n"),
    "chunk size with 0x": chunked(b"/", b"0x1\r\na\r\n0\r\n\r\n"),
    "chunk size too large": chunked(b"/", b"fffffffffffffffff\r\na\r\n0\r\n\r\n"),
    "chunk too long": chunked(b"/", b"1\r\nab\r\n0\r\n\r\n"),
    "chunk ended by a line feed": chunked(b"/", b"1\na\n0\n\n"),
    "chunk broken behind a request": get() + chunked(b"/", b"1\r\na\r\nnothing\r\n"),
    "chunk broken in one that was answered": chunked(b"/early", b"1\r\na\r\nnothing\r\n"),
    "chunk broken in one whose answer began": chunked(b"/begun", b"1\r\na\r\nnothing\r\n"),
    "space before a colon": post(b"/", b"{}").replace(b"length:", b"length :"),
    "space before a header": get(b"/", b" x: y\r\n"),
    "folded header": get(b"/", b"x: a\r\n b\r\n"),
    "header without a colon": get(b"/", b"nothing\r\n"),
    "header without a name": get(b"/", b": x\r\n"),
    "space in a name": get(b"/", b"x y: z\r\n"),
    "nul in a header": get(b"/", b"x: a\x00b\r\n"),
    "carriage return in a header": get(b"/", b"x: a\rb\r\n"),
    "line feeds only": get().replace(b"\r\n", b"\n"),
    "one line feed": get(b"/", b"x: y\n"),
    "line feed at the end": get()[:-2] + b"\n",
    "a body smuggled": post(b"/early", get(b"/admin")),
    "a bug": get(b"/raises"),
    "a bug, and more": get(b"/raises") + get(b"/2"),
    "an answer broken off": get(b"/breaks-off"),
    "an answer too short": get(b"/short"),
    "an answer too long": get(b"/long"),
    "no answer": get(b"/silent"),
    "an answer with two heads": get(b"/two-heads"),
}
CORPUS = {**GOOD, **BAD}


async def answers_to(server: Server, data: bytes) -> Answers:
    """Send a request whole, split at every position, and byte by byte."""
    [whole] = await server.exchange([[data]])
    places = range(1, len(data), 1 if len(data) < SHORT else len(data) // MAX_CUTS)
    found: list[str] = []
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        found += await server.exchange([(data[:place], data[place:]) for place in some])
    if len(data) < SHORT:
        found += await server.exchange([[bytes([each]) for each in data]])
    return Answers(whole, [each for each in dict.fromkeys(found) if each != whole])


def recorded() -> dict[str, Answers]:
    """Return the reviewed responses."""
    return msgspec.json.decode(ANSWERS.read_bytes(), type=dict[str, Answers])


async def _record() -> None:
    server = Server()
    made = {name: await answers_to(server, data) for name, data in CORPUS.items()}
    ANSWERS.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")


if __name__ == "__main__":
    asyncio.run(_record())
