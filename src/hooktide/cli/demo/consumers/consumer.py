"""A webhook consumer in Python's standard library, as a reader of a guide would write it.

``consumer.py hmac HEADER`` verifies the hexadecimal HMAC-SHA256 of the body in HEADER (Invoice
Maker's readers, and those of the guides whose language is not installed). ``consumer.py standard``
verifies the Standard Webhooks headers (for Defacto, whose guide defines no other signature).

The secret comes on stdin, a line each time it changes. Prints ``{"listening": port}``, then a JSON
line for each webhook. Ends when stdin does.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE = 300  # seconds

Headers = Mapping[str, str]


def verify_hmac(headers: Headers, body: bytes, secret: str, header: str) -> bool:
    """Compare the header with the HMAC of the raw body, keyed by the secret as it was shown."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers.get(header, ""))


def verify_standard(headers: Headers, body: bytes, secret: str) -> bool:
    """Verify as Standard Webhooks 1.0 says: ``{id}.{timestamp}.{body}``, any of the signatures."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except binascii.Error:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(f"v1,{digest}", signature) for signature in given)


class Consumer:
    """What the consumer knows: how to verify, and the secret as it stands."""

    def __init__(self, scheme: str, header: str) -> None:
        self._scheme = scheme
        self._header = header
        self.secret = ""

    def consume(self, headers: Headers, body: bytes) -> bool:
        """Verify one webhook and print what became of it; only then look at its content."""
        verified = self._verify(headers, body)
        webhook = json.loads(body) if verified else {}
        say(
            {
                "verified": verified,
                "delivery": headers.get("webhook-id", ""),
                "type": webhook.get("type") or webhook.get("event_type", ""),
                "id": webhook.get("id", ""),
            }
        )
        return verified

    def _verify(self, headers: Headers, body: bytes) -> bool:
        if not self.secret:
            return False
        if self._scheme == "standard":
            return verify_standard(headers, body, self.secret)
        return verify_hmac(headers, body, self.secret, self._header)


def handler_for(consumer: Consumer) -> type[BaseHTTPRequestHandler]:
    """Make the HTTP side of a consumer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body of the answer leave in one piece

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            verified = consumer.consume({k.lower(): v for k, v in self.headers.items()}, body)
            text = b"OK" if verified else b"Invalid signature"
            self.send_response(200 if verified else 401)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Stay quiet: stdout is for the JSON lines."""

    return Handler


def say(line: dict[str, Any]) -> None:
    """Print one JSON line, whole."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until stdin ends."""
    consumer = Consumer(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(consumer))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say({"listening": server.server_address[1]})
    for line in sys.stdin:
        consumer.secret = line.strip()
        say({"ready": True})
    os._exit(0)


if __name__ == "__main__":
    main()
