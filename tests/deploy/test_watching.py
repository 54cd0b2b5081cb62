"""The Grafana dashboard, the alerts and the docs only use metrics that a server exports."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docsite.staging import filled
from prometheus_client.parser import text_string_to_metric_families
from webkit import running

from hooktide.domain.delivery.verdict import ERRORS
from hooktide.web.problems.problem_table import PROBLEMS

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
ALERT_TESTS = ROOT / "tests/deploy/alerts_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/hooktide.json"
WATCHING = ROOT / "docs/watching.md"
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds to everything."""

SELECTOR = re.compile(r"\b(up|hooktide_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


async def metrics_page(folder: Path) -> str:
    """Return the metrics of a server with accepted, refused, ignored and undeliverable events."""
    async with running(folder) as site:
        await site.account()
        await site.endpoint()
        event = {"account": "acme", "type": "invoice.paid", "payload": {"id": 1}}
        (await site.operator.post("/v1/events", event)).ok(202)
        (await site.operator.post("/v1/events", event | {"type": "no.such"})).ok(422)
        (await site.operator.post("/v1/events", event | {"account": "nobody"})).ok(202)
        async with asyncio.timeout(60):
            while 'error="' not in (page := (await site.operator.get("/metrics")).body.decode()):
                await asyncio.sleep(0.02)
    return page


async def shown(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Return a server's samples by name, each with its labels and their values."""
    page = await metrics_page(folder)
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[Any]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def rules() -> list[Any]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def docs_expressions() -> Iterator[str]:
    [block] = re.findall(r"```promql\n(.*?)```", WATCHING.read_text(), re.DOTALL)
    yield from (line for line in block.splitlines() if not line.startswith("#"))


def expressions() -> list[str]:
    return [*dashboard_expressions(), *(rule["expr"] for rule in rules()), *docs_expressions()]


def complaints(expression: str, known: dict[str, dict[str, set[str]]]) -> Iterator[str]:
    """Yield the parts of an expression that no server exports."""
    labels = set(SCRAPED)
    for name, matchers in SELECTOR.findall(expression):
        if name not in known:
            yield f"no server shows {name}"
            continue
        labels |= known[name].keys()
        for label, _, text in MATCHER.findall(matchers):
            if label in SCRAPED:
                continue
            if label not in known[name]:
                yield f"{name} has no label {label}"
            wrong = set(text.split("|")) - possible(label, known[name].get(label, set()))
            yield from (f"{label} is never {value!r}" for value in wrong)
    for group in GROUPING.findall(expression):
        for label in (word.strip() for word in group.split(",")):
            if label not in labels:
                yield f"nothing in it has the label {label}"


def possible(label: str, seen: set[str]) -> set[str]:
    """Return the possible values of a label. Those without an event are not exported yet."""
    return {"error": set(ERRORS), "code": set(PROBLEMS)}.get(label, seen)


async def test_all_that_dashboard_alerts_and_docs_ask_for_is_shown_by_a_server(
    tmp_path: Path,
) -> None:
    known = await shown(tmp_path)
    asked = expressions()
    assert len(asked) > 30
    found = {text: list(complaints(text, known)) for text in asked}
    assert {text: wrong for text, wrong in found.items() if wrong} == {}


async def test_what_no_server_shows_is_complained_about(tmp_path: Path) -> None:
    known = await shown(tmp_path)
    assert list(complaints("hooktide_event_total", known)) == [
        "no server shows hooktide_event_total"
    ]
    assert list(complaints('hooktide_in_flight{verdict="gone"}', known)) == [
        "hooktide_in_flight has no label verdict",
        "verdict is never 'gone'",
    ]
    assert list(complaints('hooktide_attempts_total{verdict=~"gone|lost"}', known)) == [
        "verdict is never 'lost'"
    ]
    assert list(complaints("sum by (job, code) (hooktide_attempts_total)", known)) == [
        "nothing in it has the label code"
    ]


async def test_the_dashboard_and_the_docs_have_all_that_a_server_shows(tmp_path: Path) -> None:
    known = await shown(tmp_path)
    families = {family_of(name): set(labels) - {"le"} for name, labels in known.items()}
    del families["up"]
    drawn = {
        family_of(name) for text in dashboard_expressions() for name, _ in SELECTOR.findall(text)
    }
    assert families.keys() - drawn == set()
    page = await asyncio.to_thread(filled, WATCHING)
    rows = re.findall(r"^\| `(hooktide_\w+)(?:\{(\w+)\})?` \|", page, re.MULTILINE)
    assert {name: {label} - {""} for name, label in rows} == families


def family_of(name: str) -> str:
    """Return the metric that a sample belongs to: histograms and counters have several samples."""
    return re.sub(r"(_seconds)_(bucket|sum|count)$|_created$", r"\1", name)


def test_the_docs_have_every_error_class() -> None:
    text = WATCHING.read_text().partition("Error classes: ")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", text)) == set(ERRORS)


def test_each_alert_says_what_to_do_and_how_urgent_it_is() -> None:
    sections = dict(
        re.findall(r"^### (Hooktide\w+)\n\n\*(\w+)\.\*", WATCHING.read_text(), re.MULTILINE)
    )
    assert {rule["alert"]: rule["labels"]["severity"] for rule in rules()} == {
        name: severity.lower() for name, severity in sections.items()
    }
    for rule in rules():
        anchor = rule["annotations"]["runbook"]
        assert anchor == f"docs/watching.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]


def test_a_legend_names_labels_that_its_expression_leaves() -> None:
    for panel in panels():
        for target in panel["targets"]:
            grouped = ",".join(GROUPING.findall(target["expr"])).replace(" ", "").split(",")
            left = set(grouped) if "sum by" in target["expr"] else SCRAPED
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left


def test_panels_lie_beside_each_other_and_each_says_what_it_shows() -> None:
    seen: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & seen
        assert max(x for x, _ in cells) < 24
        seen |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    assert all(panel["description"] for panel in panels())


def test_every_variable_of_the_dashboard_is_there() -> None:
    variables = {each["name"] for each in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", DASHBOARD.read_text())) - {"__rate_interval", "__all"}
    assert used == variables


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    return subprocess.run(
        ["promtool", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_alert_fires_when_it_should_and_none_in_good_health() -> None:
    done = promtool("test", "rules", str(ALERT_TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [
        case
        for test in yaml.safe_load(ALERT_TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    fired = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert fired == silent == {rule["alert"] for rule in rules()}


def test_every_expression_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    texts = [
        text.replace("$__rate_interval", "5m")
        .replace("$job", "hooktide")
        .replace("$instance", ".*")
        for text in expressions()
    ]
    recorded = [{"record": f"test:{n}", "expr": text} for n, text in enumerate(texts)]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "test", "rules": recorded}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


async def test_what_a_server_shows_keeps_to_prometheus_own_habits(tmp_path: Path) -> None:
    done = promtool("check", "metrics", given=await metrics_page(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_docs_configuration_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", WATCHING.read_text(), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(block)
    shutil.copy(ALERTS, tmp_path)
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    [job] = yaml.safe_load(block)["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}} == 0' in [rule["expr"] for rule in rules()]
