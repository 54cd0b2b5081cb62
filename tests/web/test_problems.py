"""Every error is a problem from a fixed table, which links to its documentation."""

import ast
from pathlib import Path

import pytest
from webkit import Site

import hooktide
from hooktide.domain.errors import InvalidError, UnavailableError
from hooktide.web.problems.problem_table import PROBLEMS
from hooktide.web.problems.problems import problem_bytes, problem_of

SOURCE = Path(hooktide.__file__).parent
pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELD_RULES = {SOURCE / "domain/http/address.py", SOURCE / "domain/http/headers.py"}
FORMS = SOURCE / "web" / "pages"
"""Pages: what is wrong with a field they say beside it, and it is no problem of the API."""

ERRORS = {"RefusedError", "InvalidError"}
SMALL_RULES = {
    "answer_too_long",
    "event_types_missing",
    "invalid_header",
    "invalid_secret",
    "too_many_event_types",
}
"""Rules of one field: told as a fault of the body, without a type of their own."""


def _refusals() -> list[tuple[str, str]]:
    """Return every error code in the source, and the name of its exception."""
    found = []
    for file in set(SOURCE.rglob("*.py")) - FIELD_RULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                known = ERRORS - {"InvalidError"} if FORMS in file.parents else ERRORS
                if node.func.id in known and isinstance(first, ast.Constant):
                    found.append((str(first.value), node.func.id))
    return sorted(set(found))


async def test_whatever_is_refused_is_in_the_table() -> None:
    found = _refusals()
    assert FORMS.is_dir()
    assert ("endpoint_disabled", "RefusedError") in found
    assert {code for code, _ in found} - SMALL_RULES <= set(PROBLEMS)


@pytest.mark.parametrize("code", list(PROBLEMS))
async def test_each_type_leads_to_its_explanation(shared: Site, code: str) -> None:
    told = (await shared.operator.get(f"/problems/{code}")).ok()
    assert told["type"] == f"/problems/{code}"
    assert told["remedy"].endswith(".")


async def test_an_unknown_type_leads_nowhere(shared: Site) -> None:
    assert (await shared.operator.get("/problems/nothing")).code == "not_found"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/accounts/", "//v1/accounts", "/favicon.ico"])
async def test_a_path_that_is_not_there_is_a_problem(shared: Site, path: str) -> None:
    assert (await shared.operator.get(path)).code == "not_found"


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/"])
async def test_a_browser_is_shown_the_way_to_the_dashboard(shared: Site, path: str) -> None:
    browser = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    answer = await shared.operator.call("GET", path, headers=browser)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert b'href="/dashboard"' in answer.body
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await shared.operator.get(path)).code == "not_found"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "OPTIONS", "PROPFIND"])
async def test_a_method_that_is_not_there_names_those_that_are(shared: Site, method: str) -> None:
    answer = await shared.operator.call(method, "/health/live")
    assert answer.code == "method_not_allowed"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_internal_errors_say_when_to_retry() -> None:
    status, body, headers = problem_bytes(UnavailableError("the disk is full", retry_after=7))
    assert status == 503
    assert (b"retry-after", b"7") in headers
    assert b"the disk is full" in body


async def test_a_rule_that_is_not_in_the_table_is_told_under_the_body() -> None:
    problem = problem_of(InvalidError("single_label", "no", pointer="/url"))
    assert problem["type"] == "/problems/invalid_body"
    assert problem["errors"] == [{"code": "single_label", "detail": "no", "pointer": "/url"}]


async def test_no_response_of_the_api_is_cached(shared: Site) -> None:
    answer = await shared.operator.get("/v1/accounts")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/portal", "/portal/", "/bins", "/bins/", "/nowhere"])
async def test_a_browser_is_shown_a_page_where_there_is_nothing(shared: Site, path: str) -> None:
    browser = {"accept": "text/html,*/*;q=0.8"}
    answer = await shared.client("").call("GET", path, headers=browser)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert b"There is no page at this address" in answer.body
    for program in (path, "/v1/nowhere"):
        headers = browser if program == "/v1/nowhere" else {"accept": "*/*"}
        assert (await shared.client("").call("GET", program, headers=headers)).code == "not_found"
