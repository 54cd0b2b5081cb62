"""Every secret contains a canary, which must not appear anywhere it should not."""

import asyncio
import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from accounting import PROJECT, Ledger
from ports import free_port
from serverkit import KEY, Server, raw, receiving, request, serving, until_none_is

OWN = {"Authorization": "Bearer canary-own-authorization", "X-Token": "canary-own-token"}
CHANGED = {"Authorization": "Basic canary-changed-authorization"}
WRONG = "htk_" + "canary-wrong-key".ljust(43, "w")
PASSWORD = "canary-password-in-a-url"
QUERY = "canary-query-of-a-url"
PAYLOAD = "canary-payload"


@dataclass
class Story:
    """Makes calls, and keeps the responses and the secrets that must not be seen again."""

    server: Server
    key: str = KEY
    answers: list[bytes] = field(default_factory=list)
    secrets: set[bytes] = field(default_factory=lambda: {KEY.encode()})

    async def call(self, method: str, path: str, value: Any = None, *, key: str = "") -> Any:
        body = b"" if value is None else msgspec.json.encode(value)
        return await self.send(request(method, path, body, key=key or self.key))

    async def send(self, data: bytes) -> Any:
        answer = await raw(self.server.port, data)
        self.answers.append(answer)
        try:
            return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
        except msgspec.DecodeError:
            return None

    async def shown_once(self, method: str, path: str, value: Any = None) -> Any:
        """Make a call whose response shows a secret once."""
        answer = await self.call(method, path, value)
        self.answers.pop()
        if "key" in answer:
            self.secrets.add(answer["key"].encode())
        else:
            text, whsec = answer["secret"]["text"], answer["secret"]["whsec"].removeprefix("whsec_")
            self.secrets |= {text.encode(), whsec.encode(), base64.b64decode(whsec)}
        return answer

    async def look_everywhere(self, endpoints: list[str]) -> None:
        """Read every list and every object."""
        for what in ("projects", "accounts", "endpoints", "events", "deliveries", "keys"):
            page = await self.call("GET", f"/v1/{what}")
            for item in page["items"]:
                if "id" in item and what in {"events", "deliveries", "endpoints"}:
                    await self.call("GET", f"/v1/{what}/{item['id']}")
                if what == "deliveries":
                    await self.call("GET", f"/v1/deliveries/{item['id']}/attempts")
        for path in (*(f"/v1/endpoints/{id_}/deliveries" for id_ in endpoints), "/openapi.json"):
            await self.call("GET", path)


async def told(story: Story, receiver: int) -> None:
    """Use secrets, headers and payloads in every operation, correctly and incorrectly."""
    await raw(
        story.server.port,
        request("PUT", "/v1/projects/accounting", PROJECT.encode()).replace(b"n/json", b"n/toml"),
    )
    account = (
        await story.call("POST", "/v1/accounts", {"project": "accounting", "reference": "a"})
    )["id"]
    keys = [
        await story.shown_once("POST", "/v1/keys", {"name": "n", **more})
        for more in (
            {"scope": "operator"},
            {"scope": "project", "project": "accounting"},
            {"scope": "account", "account": account},
        )
    ]
    made = []
    for path, port in (("/ok", receiver), ("/fail", receiver), ("/nobody", free_port())):
        url = f"http://127.0.0.1:{port}{path}?token={QUERY}"
        given = {"account": account, "url": url, "event_types": ["*"], "headers": OWN}
        made.append((await story.shown_once("POST", "/v1/endpoints", given))["id"])
    for endpoint in made:
        await story.shown_once("POST", f"/v1/endpoints/{endpoint}/rotate")
        await story.call("POST", f"/v1/endpoints/{endpoint}/test", {})
    await publish(story, account)
    await refused(story, account, made[0])
    await story.call("PATCH", f"/v1/endpoints/{made[0]}", {"headers": CHANGED})
    await publish(story, account, key=keys[1]["key"])
    for key in keys:
        await story.call("GET", "/webhooks", key=key["key"])
        await story.call("GET", f"/v1/endpoints/{made[0]}", key=key["key"])
    await story.call("DELETE", f"/v1/keys/{keys[2]['id']}")
    await story.call("GET", "/webhooks", key=keys[2]["key"])
    await story.look_everywhere(made)


async def publish(story: Story, account: str, key: str = "") -> None:
    event = {"account": account, "type": "thing.happened", "payload": {"text": PAYLOAD}}
    await story.call("POST", "/v1/events", event, key=key)
    await story.call("POST", "/v1/events", [event, event | {"type": "no.such"}], key=key)


async def refused(story: Story, account: str, endpoint: str) -> None:
    """Send many requests that are refused, each with a canary."""
    event = msgspec.json.encode({"account": account, "payload": {"text": PAYLOAD}})
    for body in (event, event[:-3], b'{"payload":"' + PAYLOAD.encode() + b'\xff"}'):
        await story.send(request("POST", "/v1/events", body))
    for wrong in (WRONG, WRONG.replace("htk_", ""), f"{WRONG} {WRONG}"):
        await story.call("GET", "/v1/accounts", key=wrong)
    await story.call("GET", f"/v1/accounts?key={WRONG}")
    await story.send(f"GET /{WRONG}\r\n\r\n".encode())
    await story.send(request("GET", "/v1/accounts").replace(b"Bearer", WRONG.encode()))
    for url in (f"https://user:{PASSWORD}@example.com/", f"ftp://example.com/{PASSWORD}"):
        given = {"account": account, "url": url, "event_types": ["*"]}
        await story.call("POST", "/v1/endpoints", given)
        await story.call("PATCH", f"/v1/endpoints/{endpoint}", {"url": url})
    for name, value in (("Authorization", OWN["Authorization"] + "\n"), ("Host", OWN["X-Token"])):
        given = {"account": account, "url": "https://example.com/", "event_types": ["*"]}
        await story.call("POST", "/v1/endpoints", given | {"headers": {name: value}})
        await story.call("PATCH", f"/v1/endpoints/{endpoint}", {"headers": {name: value}})


async def test_no_secret_is_in_logs_metrics_answers_or_the_database(tmp_path: Path) -> None:
    ledger = Ledger()
    options = ("--log-level", "debug")
    async with receiving(ledger) as receiver, serving(tmp_path, *options) as server:
        story = Story(server)
        await told(story, receiver)
        async with asyncio.timeout(60):
            while len(ledger.arrived_at("/ok")) < 5:
                await asyncio.sleep(0.02)
        await until_none_is(server.api, "held")
        metrics = await raw(server.port, request("GET", "/metrics"))
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        await server.stop()
        await server.start()
    log = server.log.read_bytes()
    stored = b"".join(
        path.read_bytes()
        for path in tmp_path.iterdir()
        if path.name.startswith("hooktide.db") and path.suffix != ".key"
    )
    story.secrets |= {value.encode() for value in (*OWN.values(), *CHANGED.values())}
    story.secrets |= {WRONG.removeprefix("htk_").encode(), PASSWORD.encode()}
    assert len(story.secrets) > 20
    assert len(story.answers) > 80
    places = {"log": log, "metrics": metrics, "arguments": arguments, "database": stored}
    for secret in story.secrets:
        found = [name for name, text in places.items() if secret in text]
        found += [answer[:200].decode() for answer in story.answers if secret in answer]
        assert not found, (secret, found)
    assert PAYLOAD.encode() in stored
    for canary in (PAYLOAD.encode(), QUERY.encode()):
        assert canary not in log
        assert canary not in metrics
    assert ledger.arrived[0].headers["authorization"] == OWN["Authorization"]
