"""A project with the header names of another sender: its receivers notice nothing."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from webkit import Site, running
from wire import NO_CONTENT, keeping, receiving

from hooktide.verify import Verifier

SVIX = """
name = "acme"
[dialect]
header_prefix = "svix"
user_agent = "Acme-Webhooks/1.0"
[event_types."invoice.paid"]
example = '{"id": 1}'
"""
NODE = """
import { createHmac, timingSafeEqual } from 'node:crypto'
const { headers, body, secret } = JSON.parse(process.argv[1])
const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
const signed = `${headers['svix-id']}.${headers['svix-timestamp']}.${body}`
const expected = createHmac('sha256', key).update(signed).digest()
const [version, given] = headers['svix-signature'].split(',')
if (version !== 'v1' || !timingSafeEqual(expected, Buffer.from(given, 'base64'))) process.exit(1)
"""


async def sent(site: Site, text: str) -> tuple[dict[str, str], bytes, Any, Any]:
    """Return the headers and the body of a test event of a project, its endpoint and its result."""
    (await site.operator.apply("acme", text)).ok()
    given = {"project": "acme", "reference": "customer"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    async with receiving(keeping(NO_CONTENT)) as receiver:
        made = await site.endpoint("customer", url=f"http://127.0.0.1:{receiver.port}/")
        tested = (await site.operator.post(f"/v1/endpoints/{made['id']}/test")).ok()
        [raw] = receiver.requests
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines), body, made, tested


async def test_consumers_that_read_the_projects_names_verify_what_is_sent(site: Site) -> None:
    headers, body, made, tested = await sent(site, SVIX)
    secret = made["secret"]["whsec"]
    assert headers["user-agent"] == "Acme-Webhooks/1.0"
    assert tested["webhook_signature"] == headers["svix-signature"]
    named = {
        f"webhook-{name}": headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")
    }
    assert standardwebhooks.Webhook(secret).verify(body, named) == {"id": 1}
    svix = pytest.importorskip("svix")
    svix.Webhook(secret).verify(body, headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(secret).verify(body + b" ", headers)
    if shutil.which("node"):
        for changed, code in ((body, 0), (body + b" ", 1)):
            given = json.dumps({"headers": headers, "body": changed.decode(), "secret": secret})
            command = ["node", "--input-type=module", "-e", NODE, given]
            done = subprocess.run(command, check=False, timeout=60)
            assert done.returncode == code


async def test_the_library_and_a_test_url_check_by_the_projects_names(tmp_path: Path) -> None:
    async with running(tmp_path, public_url="http://127.0.0.1:8080") as site:
        await checks_by_the_projects_names(site, tmp_path)


async def checks_by_the_projects_names(site: Site, tmp_path: Path) -> None:
    headers, body, made, _ = await sent(site, SVIX)
    (tmp_path / "acme.toml").write_text(SVIX)
    verifier = Verifier(str(tmp_path / "acme.toml"), made["secret"]["whsec"])
    assert verifier.verify(body, headers).event_id == headers["svix-id"]
    customer = await site.key("account", account="customer")
    kept = (await customer.post("/v1/bins", {})).ok(201)
    await site.endpoint("customer", url=kept["url"], secret=made["secret"]["whsec"])
    path = "/" + kept["url"].partition("://")[2].partition("/")[2]
    named = {name: value for name, value in headers.items() if name.startswith("svix-")}
    for forged in (b"", b" "):
        answer = await site.client("").call("POST", path, body=body + forged, headers=named)
        assert answer.status == 200
    found = (await customer.get(f"/v1/bins/{kept['id']}/requests")).ok()["items"]
    assert [each["signature"]["verdict"] for each in found] == ["invalid", "valid"]


async def test_the_guide_says_the_projects_names(site: Site) -> None:
    (await site.operator.apply("acme", SVIX)).ok()
    for path in ("/docs/acme", "/docs/acme.md"):
        page = (await site.operator.get(path)).body.decode()
        assert "svix-signature" in page
        assert "webhook-signature" not in page
        assert "webhook-id" not in page
        assert "Acme-Webhooks/1.0" in page
    for path in ("/docs/acme/asyncapi.json", "/docs/acme/openapi.json"):
        text = (await site.operator.get(path)).body.decode()
        assert '"svix-id"' in text
        assert "webhook-id" not in text


async def test_an_endpoints_own_header_must_not_have_such_a_name(site: Site) -> None:
    _, _, made, _ = await sent(site, SVIX)
    path = f"/v1/endpoints/{made['id']}"
    answer = await site.operator.patch(path, {"headers": {"Svix-Id": "1"}})
    assert (answer.code, answer.pointers) == ("invalid_headers", ["/headers/Svix-Id"])
