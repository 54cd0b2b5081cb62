"""The client's own text: one for both clients, the server's shapes, and no server imported."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blocking import MADE, SOURCE, made
from webkit import running

import hooktide
from hooktide.actions import bins, publish
from hooktide.client import errors, shapes
from hooktide.web import bin_answers, bin_api, problems
from hooktide.web.api import (
    accounts,
    changes,
    deliveries,
    endpoints,
    event_types,
    events,
    keys,
    people,
    portal_links,
    projects,
    replays,
    sizes,
    trial,
)


def test_the_blocking_client_is_the_one_for_asyncio() -> None:
    wanted, found = made(SOURCE.read_text()), MADE.read_text()
    assert ast.dump(ast.parse(wanted)) == ast.dump(ast.parse(found)), "python tests/blocking.py"
    assert "async" not in re.sub("[`(]asynchronous|asyncio", "", found.partition('"""\n')[2])


SAME: list[tuple[type[Any], type[Any]]] = [
    (shapes.Plan, projects.PlanOut),
    (shapes.Project, projects.ProjectOut),
    (shapes.Applied, projects.ProjectApplied),
    (shapes.Wording, event_types.WordingOut),
    (shapes.EventType, event_types.EventTypeOut),
    (shapes.Account, accounts.AccountOut),
    (shapes.PortalLink, portal_links.PortalLinkOut),
    (shapes.Key, keys.KeyOut),
    (shapes.NewKey, keys.KeyMade),
    (shapes.Person, people.PersonOut),
    (shapes.LoginLink, people.LoginLinkOut),
    (shapes.Change, changes.ChangeOut),
    (shapes.Size, sizes.SizeOut),
    (shapes.Secret, endpoints.SecretOut),
    (shapes.Endpoint, endpoints.EndpointOut),
    (shapes.NewEndpoint, endpoints.EndpointMade),
    (shapes.Rotated, endpoints.RotatedOut),
    (shapes.Tested, trial.TestOut),
    (shapes.NewEvent, publish.EventIn),
    (shapes.Accepted, events.EventAccepted),
    (shapes.Event, events.EventItem),
    (shapes.WholeEvent, events.EventOut),
    (shapes.Delivery, deliveries.DeliveryOut),
    (shapes.Attempt, deliveries.AttemptOut),
    (shapes.Count, replays.CountOut),
    (shapes.Replay, replays.ReplayOut),
    (shapes.ReplayStarted, replays.ReplayStarted),
    (shapes.Step, bins.Step),
    (shapes.Bin, bin_api.BinOut),
    (shapes.BinRequest, bin_answers.RequestOut),
    (shapes.SignatureVerdict, bin_answers.SignatureOut),
    (errors.Fault, problems.FaultOut),
    (errors.Problem, problems.ProblemOut),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_a_shape_has_the_fields_of_the_servers(ours: type[Any], theirs: type[Any]) -> None:
    assert set(_fields(ours)) == set(_fields(theirs))
    for name, kind in _fields(ours).items():
        assert _kind(kind) == _kind(_fields(theirs)[name]), name


def _fields(kind: type[Any]) -> dict[str, msgspec.inspect.Type]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: field.type for field in info.fields}


SAME_KIND = {
    "DateTimeType": "StrType",
    "EnumType": "StrType",
    "AnyType": "RawType",
    "StructType": "DictType",
}


def _kind(kind: msgspec.inspect.Type) -> Any:
    """Say what JSON a type is; instants and states are texts there."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return _kind(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return {_kind(each) for each in kind.types}
    name = type(kind).__name__
    return SAME_KIND.get(name, name)


async def test_each_operation_of_the_api_is_in_the_client(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        document = (await site.operator.get("/openapi.json")).ok()
    wanted = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    nodes = ast.walk(ast.parse(SOURCE.read_text()))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    paths = {each for each in texts if str(each).startswith(("/v1/", "/webhooks"))}
    assert paths == {path for _, path in wanted}
    source = " ".join(SOURCE.read_text().split())
    for method, path in wanted - set(LISTS):
        assert re.search(_call(method, path), source), f"{method} {path}"


LISTS = [
    ("GET", path)
    for path in (
        "/v1/accounts",
        "/v1/keys",
        "/v1/changes",
        "/v1/endpoints",
        "/v1/endpoints/{id}/deliveries",
        "/v1/events",
        "/v1/deliveries",
        "/v1/endpoints/{id}/replays",
        "/v1/bins/{id}/requests",
        "/webhooks",
    )
]


def _call(method: str, path: str) -> str:
    """Match a call, its path written there or just before."""
    quoted = re.escape(f'"{path}"')
    return rf'"{method}", {quoted}|{quoted} [^"]*"{method}", path'


def test_importing_the_client_imports_no_server_and_the_server_no_client() -> None:
    loaded = _loaded_by("hooktide.client")
    assert "httpx" in loaded
    for name in ("starlette", "uvicorn", "apsw", "asyncpg", "jinja2", "structlog"):
        assert name not in loaded, name
    ours = {name for name in loaded if name.startswith("hooktide.")}
    assert {name.split(".")[1] for name in ours} == {"client", "domain"}
    assert "httpx" not in _loaded_by("hooktide.app")


def _loaded_by(module: str) -> list[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


def test_the_package_has_both_clients_and_says_what_it_has_not() -> None:
    assert hooktide.Client.__name__ == "Client"
    assert hooktide.AsyncClient.__name__ == "AsyncClient"
    with pytest.raises(AttributeError, match="Cliant"):
        hooktide.Cliant  # type: ignore[attr-defined]  # noqa: B018
    stub = Path(hooktide.__file__).with_suffix(".pyi").read_text()
    assert "AsyncClient" in stub
