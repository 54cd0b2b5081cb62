"""``hooktide reindex`` and ``hooktide events --search``: what a project indexes, and finds."""

from pathlib import Path

import pytest
from commandkit import hooktide

from hooktide import Client
from hooktide.client import NewEvent
from hooktide.dialects import read_shipped


@pytest.mark.usefixtures("place")
def test_older_events_are_indexed_and_found(tmp_path: Path) -> None:
    name = "standard-webhooks"
    refused = hooktide("reindex", "invoice-maker")
    assert refused.code != 0
    assert "index = [" in refused.err
    plain = read_shipped(name)
    with Client() as client:
        client.projects.apply(name, plain)
        client.accounts.create("northwind", project=name)
        kind = client.projects.get(name).event_types[0]
        payload = {"invoice": {"number": "INV-2026-024511"}}
        made = client.events.publish(NewEvent(account="northwind", type=kind, payload=payload))
    file = tmp_path / "project.toml"
    file.write_text('index = ["invoice.number"]\n' + plain)
    dry = hooktide("apply", str(file), "--dry-run").ok().out
    assert dry == (
        f'{name}: index: [] -> ["invoice.number"]\n'
        f"older events are indexed on request: hooktide reindex {name}\n"
    )
    assert hooktide("apply", str(file)).ok().out == dry
    lines = hooktide("reindex", name, "--wait").ok().out.splitlines()
    assert lines[-1] == f"{name}  invoice.number  1 event indexed  complete"
    again = hooktide("reindex", name, "--wait", "--json").ok().json[-1]
    assert (again["state"], again["complete_since"]) == ("complete", None)
    found = hooktide("events", "--search", "024511", "--json").ok().one
    assert found["id"] == made.id
