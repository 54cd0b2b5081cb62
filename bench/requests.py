"""The prepared publish requests: 1 KB of realistic JSON each, for every account and event type.

They are written to a file that both load generators read: for each request a line with its
length, then its bytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.server import EVENT_TYPES, reference

PAYLOAD_BYTES = 1024
SINGLE_REQUESTS = 300
BATCH_REQUESTS = 30
LINES = (
    ("Ontwerp en bouw website", "1", "1250.00"),
    ("Onderhoud, per maand", "3", "85.00"),
    ("Café-abonnement", "12", "19.95"),
    ("Reiskosten", "2", "41.30"),
)


def write_requests(
    file: Path,
    *,
    accounts: Sequence[int],
    batch: int,
    port: int,
    key: str,
    types: Sequence[str] = EVENT_TYPES,
) -> None:
    """Write prepared requests for these accounts; with ``batch`` above 1, so many events each."""
    requests = []
    for number in range(SINGLE_REQUESTS if batch == 1 else BATCH_REQUESTS):
        events = [event(number * batch + place, accounts, types) for place in range(batch)]
        body = events[0] if batch == 1 else b"[" + b",".join(events) + b"]"
        requests.append(publish_request(body, port, key))
    write_framed(file, requests)


def write_framed(file: Path, requests: Sequence[bytes]) -> None:
    """Write requests as both load generators read them."""
    with file.open("wb") as out:
        for request in requests:
            out.write(b"%d\n%b" % (len(request), request))


def read_requests(file: Path) -> list[bytes]:
    """Read what ``write_framed`` wrote."""
    return list(_framed(file.read_bytes()))


def event(number: int, accounts: Sequence[int], types: Sequence[str]) -> bytes:
    """Return the body of a publish request: neighbours differ in account, then in type."""
    account = reference(accounts[number % len(accounts)]).encode()
    event_type = types[number // len(accounts) % len(types)].encode()
    return b'{"account":"%b","type":"%b","payload":%b}' % (account, event_type, payload(number))


def payload(number: int) -> bytes:
    """Return an invoice as JSON, 1,024 bytes long."""
    invoice = {
        "invoice": {
            "id": f"inv_{number:012}",
            "number": f"2026-{number:05}",
            "status": "open",
            "currency": "EUR",
            "issued_on": "2026-11-21",
            "due_on": "2026-12-21",
            "customer": {
                "name": "Van der Meer & Zonen B.V.",
                "email": "administratie@vandermeer.example",
                "city": "'s-Hertogenbosch",
                "vat_number": "NL001234567B01",
            },
            "lines": [
                {"description": text, "quantity": quantity, "unit_price": price, "vat": 21}
                for text, quantity, price in LINES
            ],
            "total_excluding_vat": 1826.99,
            "total": 2210.66,
            "paid": False,
        },
        "note": "",
    }
    missing = PAYLOAD_BYTES - len(msgspec.json.encode(invoice))
    invoice["note"] = ("Betaling binnen dertig dagen. " * 40)[:missing]
    return msgspec.json.encode(invoice)


def publish_request(body: bytes, port: int, key: str) -> bytes:
    """Return the request that publishes an event, or a batch."""
    head = (
        "POST /v1/events HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\n"
        f"authorization: Bearer {key}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _framed(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        end = content.index(b"\n", at)
        size = int(content[at:end])
        yield content[end + 1 : end + 1 + size]
        at = end + 1 + size
