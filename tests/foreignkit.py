"""Fakes of Svix and Convoy: the parts of their APIs that an import reads, with pagination."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "sk_test_token"

SVIX_APPS: list[dict[str, Any]] = [
    {"id": "app_1", "uid": "acme", "name": "Acme Ltd", "throttleRate": 20},
    {"id": "app_2", "uid": None, "name": "Beta"},
]
SVIX_ENDPOINTS: dict[str, list[dict[str, Any]]] = {
    "app_1": [
        {
            "id": "ep_a",
            "url": "http://127.0.0.1:65000/a",
            "description": "A",
            "filterTypes": ["invoice.paid"],
            "disabled": False,
            "channels": ["eu"],
            "uid": "crm-1",
            "metadata": {"tier": "gold"},
            "rateLimit": 5,
        },
        {
            "id": "ep_b",
            "url": "http://127.0.0.1:65000/b",
            "description": "",
            "filterTypes": None,
            "uid": "u" * 201,
            "metadata": {"a:b": "x"},
            "disabled": True,
            "throttleRate": 7,
        },
    ],
    "app_2": [{"id": "ep_c", "url": "http://127.0.0.1:65000/c", "filterTypes": ["no.such"]}],
}
SVIX_SECRETS = {
    "ep_a": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "ep_b": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "ep_c": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
}


def svix(path: str, query: dict[str, str]) -> Any:
    """Respond to a GET as Svix does, with one item per page."""
    match path.strip("/").split("/"):
        case ["api", "v1", "app"]:
            return _svix_page(SVIX_APPS, query)
        case ["api", "v1", "app", app, "endpoint"]:
            return _svix_page(SVIX_ENDPOINTS[app], query)
        case ["api", "v1", "app", _, "endpoint", endpoint, "secret"]:
            return {"key": SVIX_SECRETS[endpoint]}
        case ["api", "v1", "app", _, "endpoint", endpoint, "headers"]:
            told = {"ep_a": {"headers": {"X-Tenant": "7"}, "sensitive": ["Authorization"]}}
            return told.get(endpoint, {"headers": {}, "sensitive": []})
    return None


def _svix_page(items: list[dict[str, Any]], query: dict[str, str]) -> Any:
    start = int(query.get("iterator", "0"))
    return {
        "data": items[start : start + 1],
        "iterator": str(start + 1),
        "done": start + 1 >= len(items),
    }


CONVOY_ENDPOINTS: list[dict[str, Any]] = [
    {
        "uid": "01A",
        "name": "Acme",
        "owner_id": "acme",
        "url": "http://127.0.0.1:65000/a",
        "status": "active",
        "secrets": [
            {"value": "older-secret-of-acme", "expires_at": "2026-01-01T00:00:00Z"},
            {"value": "J8bQvBEMVYTRFEGVgzWxCYGEC", "expires_at": None},
        ],
        "authentication": {
            "type": "api_key",
            "api_key": {"header_name": "X-Token", "header_value": "t"},
        },
    },
    {
        "uid": "01B",
        "name": "Nobody's",
        "owner_id": "",
        "url": "http://127.0.0.1:65000/b",
        "status": "paused",
        "secrets": [{"value": "another-secret-of-b"}],
        "rate_limit": 10,
    },
    {
        "uid": "01C",
        "name": "Unsubscribed",
        "owner_id": "acme",
        "url": "http://127.0.0.1:65000/c",
        "status": "active",
        "secrets": [{"value": "another-secret-of-c"}],
        "authentication": {"type": "oauth2"},
    },
]
CONVOY_SUBSCRIPTIONS: list[dict[str, Any]] = [
    {"endpoint_metadata": {"uid": "01A"}, "filter_config": {"event_types": ["invoice.paid"]}},
    {"endpoint_metadata": {"uid": "01A"}, "filter_config": {"event_types": ["invoice.created"]}},
    {
        "endpoint_metadata": {"uid": "01B"},
        "filter_config": {"event_types": ["*"], "filter": {"body": {"a": 1}, "headers": {}}},
    },
]


def convoy(path: str, query: dict[str, str]) -> Any:
    """Respond to a GET as Convoy does, with one item per page."""
    lists = {
        "/api/v1/projects/p1/endpoints": CONVOY_ENDPOINTS,
        "/api/v1/projects/p1/subscriptions": CONVOY_SUBSCRIPTIONS,
    }
    if path not in lists:
        return None
    start = int(query.get("next_page_cursor", "0"))
    pagination = {
        "per_page": 1,
        "has_next_page": start + 1 < len(lists[path]),
        "next_page_cursor": str(start + 1),
    }
    content = lists[path][start : start + 1]
    return {"status": True, "message": "", "data": {"content": content, "pagination": pagination}}


@contextmanager
def standing_in(answer: Callable[[str, dict[str, str]], Any]) -> Iterator[str]:
    """Run a fake, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if self.headers["authorization"] != f"Bearer {TOKEN}":
                self._send(401, {"detail": "no"})
                return
            found = answer(parts.path, query)
            self._send(200 if found is not None else 404, found or {"detail": "no"})

        def _send(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
