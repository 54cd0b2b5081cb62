"""The Helm chart is rendered by Go's template engine, and checked against the server's settings.

If Helm is installed, it lints the chart too.
"""

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
import yaml
from webkit import running

from hooktide import __version__
from hooktide.runtime.settings import Settings, check

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/hooktide"
RENDER = Path(__file__).with_name("render.go")

SQLITE: dict[str, Any] = {"publicUrl": "https://hooks.example.com", "existingSecret": "hooktide"}
POSTGRES: dict[str, Any] = {**SQLITE, "database": "postgresql"}
EVERYTHING: dict[str, Any] = {
    **POSTGRES,
    "replicas": 3,
    "processes": 4,
    "image": {"repository": "registry.example.com/hooktide", "tag": "1.2", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "settings": {"HOOKTIDE_SLOTS": "2000", "HOOKTIDE_LOG_ATTEMPTS": "false"},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "hooks.example.com",
        "tlsSecret": "hooks-tls",
        "annotations": {"a.example/b": 'say "c": d'},
    },
    "serviceMonitor": {"enabled": True, "interval": "5s", "labels": {"release": "prometheus"}},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}


def defaults() -> dict[str, Any]:
    return dict(yaml.safe_load((CHART / "values.yaml").read_text()))


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Merge values into the defaults, as Helm does."""
    return _over(defaults(), values)


def _over(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(base)
    for name, value in values.items():
        old = made.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            value = _over(old, value)
        made[name] = value
    return made


def rendered(*cases: dict[str, Any], release: str = "hooktide") -> list[dict[str, Any]]:
    """Return each case's objects by kind, and its notes as text."""
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    about = {name[:1].upper() + name[1:]: value for name, value in chart.items()}
    made = {"Name": release, "Namespace": "hooks", "Service": "Helm"}
    given = {
        "files": {file.name: file.read_text() for file in (CHART / "templates").iterdir()},
        "cases": [{"Values": merged(each), "Release": made, "Chart": about} for each in cases],
    }
    done = subprocess.run(
        ["go", "run", str(RENDER)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [_objects(files) for files in json.loads(done.stdout)]


def _objects(files: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"notes": files.pop("NOTES.txt")}
    for text in files.values():
        for made in yaml.safe_load_all(text):
            if made is not None:
                assert made["kind"] not in found
                found[made["kind"]] = made
    return found


def pod(objects: dict[str, Any]) -> Any:
    [servers] = [objects[kind] for kind in ("StatefulSet", "Deployment") if kind in objects]
    return servers["spec"]["template"]["spec"]


def settings_of(container: Any) -> Settings:
    """Return the validated settings that a container's server starts with."""
    values: dict[str, Any] = {}
    secret = {"database": "postgresql://hooktide@db/hooktide"}
    for each in container["env"]:
        name = each["name"].removeprefix("HOOKTIDE_").lower()
        if name != "operator_key":
            by_secret = each.get("valueFrom", {}).get("secretKeyRef", {})
            values[name] = each["value"] if "value" in each else secret[by_secret["key"]]
    command, *options = container["args"]
    assert command == "serve"
    for option, value in zip(options[::2], options[1::2], strict=True):
        values[option.removeprefix("--").replace("-", "_")] = value
    kinds = {each.name: type(getattr(Settings(), each.name)) for each in fields(Settings)}
    made = Settings(
        **{
            name: value == "true" if kinds[name] is bool else kinds[name](value)
            for name, value in values.items()
        }
    )
    check(made)
    return made


def test_each_case_starts_a_server_with_settings_that_it_takes() -> None:
    sqlite, postgres, everything = rendered(SQLITE, POSTGRES, EVERYTHING)
    for objects in (sqlite, postgres, everything):
        [container] = pod(objects)["containers"]
        settings = settings_of(container)
        assert settings.public_url == "https://hooks.example.com"
        [port] = container["ports"]
        assert settings.port == port["containerPort"]
        [service] = objects["Service"]["spec"]["ports"]
        assert service["targetPort"] == port["name"]
        assert pod(objects)["terminationGracePeriodSeconds"] > settings.stop_within + 3 + 5
    assert not settings_of(pod(sqlite)["containers"][0]).on_postgres
    assert settings_of(pod(postgres)["containers"][0]).on_postgres
    most = settings_of(pod(everything)["containers"][0])
    assert (most.processes, most.slots, most.log_attempts) == (4, 2000, False)


def test_sqlite_is_one_pod_with_a_volume_and_postgresql_any_number_without() -> None:
    sqlite, postgres = rendered(SQLITE, POSTGRES)
    assert "Deployment" not in sqlite
    assert "PodDisruptionBudget" not in sqlite
    assert sqlite["StatefulSet"]["spec"]["replicas"] == 1
    [claim] = sqlite["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] in mounted(pod(sqlite))
    assert "StatefulSet" not in postgres
    assert postgres["Deployment"]["spec"]["replicas"] == 2
    assert postgres["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def mounted(spec: Any) -> dict[str, str]:
    [container] = spec["containers"]
    return {each["name"]: each["mountPath"] for each in container["volumeMounts"]}


def test_all_that_is_mounted_is_a_volume_and_the_sqlite_file_is_on_one() -> None:
    for objects in rendered(SQLITE, POSTGRES, EVERYTHING):
        spec = pod(objects)
        volumes = {each["name"] for each in spec["volumes"]}
        if "StatefulSet" in objects:
            volumes.add("data")
        assert mounted(spec).keys() == volumes
        settings = settings_of(spec["containers"][0])
        kept = settings.key_file or f"/var/lib/hooktide/{settings.database}"
        assert any(kept.startswith(f"{folder}/") for folder in mounted(spec).values())
        assert "WORKDIR /var/lib/hooktide\n" in (ROOT / "deploy/Dockerfile").read_text()


def test_a_pod_may_do_no_more_than_it_needs() -> None:
    for objects in rendered(SQLITE, EVERYTHING):
        spec = pod(objects)
        [container] = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert (
            f"USER {spec['securityContext']['runAsUser']}:"
            in (ROOT / "deploy/Dockerfile").read_text()
        )
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False


def test_probes_ask_what_a_server_answers() -> None:
    [objects] = rendered(SQLITE)
    [container] = pod(objects)["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")}
    assert {each["path"] for each in asked.values()} == {"/health/live"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}


def test_what_selects_pods_finds_them_and_nothing_of_another_release() -> None:
    for objects in (*rendered(EVERYTHING), *rendered(EVERYTHING, release="other")):
        servers = objects["Deployment"]["spec"]
        labels = servers["template"]["metadata"]["labels"]
        for selector in (
            servers["selector"]["matchLabels"],
            objects["Service"]["spec"]["selector"],
            objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        ):
            assert selector.items() <= labels.items()
            assert selector["app.kubernetes.io/instance"] in ("hooktide", "other")
        watched = objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
        assert watched.items() <= objects["Service"]["metadata"]["labels"].items()
    assert objects["Service"]["metadata"]["name"] == "other-hooktide"


def test_the_ingress_leads_to_the_service() -> None:
    [off, on] = rendered(SQLITE, EVERYTHING)
    assert "Ingress" not in off
    spec = on["Ingress"]["spec"]
    [rule] = spec["rules"]
    backend = {"service": {"name": on["Service"]["metadata"]["name"], "port": {"name": "http"}}}
    for path in rule["http"]["paths"]:
        kind = "Exact" if path["path"] == "/" else "Prefix"
        assert (path["pathType"], path["backend"]) == (kind, backend)
    assert spec["tls"] == [{"hosts": ["hooks.example.com"], "secretName": "hooks-tls"}]
    assert on["Ingress"]["metadata"]["annotations"] == {"a.example/b": 'say "c": d'}


async def test_the_ingress_lets_all_through_but_metrics_and_health(tmp_path: Path) -> None:
    below = {**EVERYTHING, "publicUrl": "https://example.com/hooks/"}
    plain, prefixed = rendered(EVERYTHING, below)
    async with running(tmp_path) as site:
        routes = (await cast(Any, site.app.site)._site.routes()).routes
        first = {route.path.split("/")[1] for route in routes}
    assert {"metrics", "health", "v1", "portal"} <= first
    wanted = first - {"metrics", "health"}
    assert paths_of(plain) == {f"/{each}" for each in wanted}
    assert paths_of(prefixed) == {f"/hooks/{each}" for each in wanted}


def paths_of(objects: dict[str, Any]) -> set[str]:
    [rule] = objects["Ingress"]["spec"]["rules"]
    return {path["path"] for path in rule["http"]["paths"]}


def test_trusted_proxies_are_passed_on_and_required_with_an_ingress() -> None:
    ingress = {**SQLITE, "ingress": {"enabled": True, "host": "hooks.example.com"}}
    networks = {"trustedProxies": ["10.244.0.0/16", "fd00::/8"]}
    alone, without, told = rendered(SQLITE, ingress, {**ingress, **networks})
    assert ["trustedProxies" in each["notes"] for each in (alone, without, told)] == [
        False,
        True,
        False,
    ]
    env = {each["name"]: each.get("value") for each in pod(told)["containers"][0]["env"]}
    assert env["HOOKTIDE_TRUSTED_PROXY"] == "10.244.0.0/16 fd00::/8"
    names = [each["name"] for each in pod(without)["containers"][0]["env"]]
    assert "HOOKTIDE_TRUSTED_PROXY" not in names


def test_the_schema_takes_what_is_right_and_refuses_what_is_wrong() -> None:
    schema = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text()))
    for right in (SQLITE, POSTGRES, EVERYTHING):
        schema.validate(merged(right))
    for wrong in (
        {},
        {**SQLITE, "publicUrl": "hooks.example.com"},
        {**SQLITE, "existingSecret": ""},
        {**SQLITE, "database": "mysql"},
        {**SQLITE, "replica": 2},
        {**SQLITE, "settings": {"SLOTS": "1"}},
        {**SQLITE, "settings": {"HOOKTIDE_SLOTS": 1}},
        {**SQLITE, "ingress": {"enabled": True}},
    ):
        assert not schema.is_valid(merged(wrong)), wrong


def test_the_schema_knows_every_value_and_the_templates_use_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert schema.keys() - {"global"} == defaults().keys()
    templates = "".join(file.read_text() for file in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.(\w+)", templates))
    assert used == defaults().keys()


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_docs_name_every_value_and_set_no_other() -> None:
    text = (ROOT / "docs/deploying.md").read_text().partition("## Kubernetes")[2]
    names = set(_names(defaults()))
    told = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in _code(row)}
    assert told == names
    for name in re.findall(r"--set(?:-string)? ([\w.]+)=", text):
        assert name in names or name.partition(".")[0] == "settings"


def _names(values: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the names of values as ``--set`` takes them. A map with free keys counts as one."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name != "resources":
            yield from _names(value, f"{before}{name}.")
        else:
            yield before + name


def _code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)
