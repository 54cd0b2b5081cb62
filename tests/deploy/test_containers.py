"""The Dockerfile and the compose files only refer to existing files; the health check works.

No Docker daemon is needed: ``test_package`` installs what the Dockerfile installs.
"""

import json
import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from serverkit import serving

from hooktide.runtime.settings import Settings, check

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
IGNORED = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
COMPOSE = ("sqlite.yaml", "postgres.yaml")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^\s*{name}\s+(.*)$", DOCKERFILE, re.MULTILINE)


def health_check() -> list[str]:
    [found] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return list(json.loads(found))


def test_all_that_is_copied_is_there_and_not_ignored() -> None:
    copied = [line.split()[:-1] for line in instructions("COPY") if "--from" not in line]
    names = {Path(name).name for line in copied for name in line}
    assert names == {"pyproject.toml", "README.md", "LICENSE", "src", "requirements"}
    assert all((ROOT / name).exists() for name in names)
    assert {line.removeprefix("!") for line in IGNORED if line.startswith("!")} == names


def test_the_image_is_built_of_what_is_locked_with_hashes() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", DOCKERFILE)
    assert len(installs) == 3
    for each in installs:
        assert "--require-hashes" in each or "--no-index --no-deps" in each
        assert all((ROOT / name).exists() for name in re.findall(r"-r (\S+)", each))


def test_what_the_image_runs_is_nobody_and_writes_only_where_it_may() -> None:
    [user] = instructions("USER")
    [home] = instructions("WORKDIR")[1:]
    assert re.search(rf"--uid {user.split(':')[0]}\b", DOCKERFILE)
    assert f"--mode=0700 {home}" in DOCKERFILE
    assert instructions("VOLUME") == [home]
    assert DOCKERFILE.index("\nUSER") > DOCKERFILE.rindex("\nRUN")


def test_the_image_listens_where_it_says() -> None:
    listen = re.findall(r"HOOKTIDE_LISTEN=(\S+)", DOCKERFILE)
    assert [each.rpartition(":")[2] for each in listen] == instructions("EXPOSE")


async def test_the_health_check_fails_without_a_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert checked(server.port) == 0
    assert checked(free_port()) != 0


def checked(port: int) -> int:
    environment = os.environ | {"HOOKTIDE_LISTEN": f"0.0.0.0:{port}"}
    done = subprocess.run(
        health_check(), env=environment, capture_output=True, timeout=60, check=False
    )
    return done.returncode


def compose(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "deploy/compose" / name).read_text()))


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_starts_a_server_with_settings_that_it_takes(name: str) -> None:
    service = compose(name)["services"]["hooktide"]
    command, *options = service["command"]
    assert command == "serve"
    values = {
        option.removeprefix("--").replace("-", "_"): value
        for option, value in zip(options[::2], options[1::2], strict=True)
    }
    for variable, text in service["environment"].items():
        values[variable.removeprefix("HOOKTIDE_").lower()] = filled(text)
    assert values.pop("operator_key")
    values["trusted_proxy"] = values["trusted_proxy"].split()
    kinds = {each.name: type(getattr(Settings(), each.name)) for each in fields(Settings)}
    settings = Settings(**{key: kinds[key](value) for key, value in values.items()})
    check(settings)
    assert settings.on_postgres == (name == "postgres.yaml")
    assert float(service["stop_grace_period"].removesuffix("s")) > settings.stop_within + 3
    [port] = service["ports"]
    assert [port.split(":")[-1]] == instructions("EXPOSE")


def filled(text: str) -> str:
    """Replace each variable by its default, or by a value from here."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?[^}]*\}", lambda found: FILLED[found[0][2:].split(":")[0]], text)


FILLED = {
    "HOOKTIDE_PUBLIC_URL": "https://hooks.example.com",
    "HOOKTIDE_OPERATOR_KEY": "k" * 64,
    "POSTGRES_PASSWORD": "secret",
}


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_builds_this_image_and_keeps_what_it_writes(name: str) -> None:
    made = compose(name)
    build = made["services"]["hooktide"]["build"]
    context = (ROOT / "deploy/compose" / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).exists()
    mounts = [each for service in made["services"].values() for each in service["volumes"]]
    assert {each.split(":")[0] for each in mounts} == made["volumes"].keys()
    assert {each.split(":")[1] for each in made["services"]["hooktide"]["volumes"]} == {
        instructions("VOLUME")[0]
    }


def test_the_example_of_an_environment_has_what_the_compose_files_ask_for() -> None:
    folder = ROOT / "deploy/compose"
    texts = [(folder / name).read_text() for name in COMPOSE]
    example = (folder / "env.example").read_text()
    asked = {found for text in texts for found in re.findall(r"\$\{(\w+):\?", text)}
    given = re.findall(r"^(\w+)=", example, re.MULTILINE)
    assert asked == set(given) == FILLED.keys()
    optional = {found for text in texts for found in re.findall(r"\$\{(\w+):-", text)}
    assert optional == set(re.findall(r"^#(\w+)=", example, re.MULTILINE))


def test_the_database_is_the_one_that_the_server_is_told() -> None:
    services = compose("postgres.yaml")["services"]
    given = services["postgres"]["environment"]
    url = filled(services["hooktide"]["environment"]["HOOKTIDE_DATABASE"])
    assert url == "postgresql://{}:{}@postgres/{}".format(
        given["POSTGRES_USER"], filled(given["POSTGRES_PASSWORD"]), given["POSTGRES_DB"]
    )
    assert services["hooktide"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert "healthcheck" in services["postgres"]
