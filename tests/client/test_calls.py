"""How client calls are encoded, when they are retried, and how responses are decoded."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from hooktide import RawJSON
from hooktide.client import (
    ClientError,
    InvalidError,
    NaiveDatetimeError,
    NewEvent,
    RetryPolicy,
    errors,
)
from hooktide.client.publishing import MAX_BATCH_BYTES, batches, event_body, sendable
from hooktide.client.requests import (
    Request,
    Response,
    call,
    command,
    error_of,
    instant,
    read,
    retry_after,
)
from hooktide.client.retries import Exchange
from hooktide.client.server import find_server
from hooktide.domain.errors import ConfigError

POLICY = RetryPolicy(retries=3, first=1.0, longest=8.0, chance=lambda: 0.0)
GET, NEW = call("GET", "/", dict[str, Any]), call("POST", "/", dict[str, Any])
KEYED = call("POST", "/", dict[str, Any], repeatable=True)


def answer(status: int, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("asked", "status", "again"),
    [
        (GET, 503, True),
        (GET, 502, True),
        (GET, 500, False),
        (GET, 404, False),
        (KEYED, 503, True),
        (KEYED, 507, True),
        (NEW, 503, False),
        (NEW, 504, False),
        (NEW, 507, False),
        (NEW, 429, True),
        (command("DELETE", "/v1/keys"), 503, True),
        (call("PUT", "/v1/keys", dict[str, Any]), 503, True),
    ],
)
def test_only_what_may_have_been_done_twice_is_asked_again(
    asked: Request[Any], status: int, again: bool
) -> None:
    assert (POLICY.after_response(asked, answer(status), 1) is not None) is again


def test_without_an_answer_what_makes_something_new_is_not_asked_again_once_it_was_sent() -> None:
    assert POLICY.after_silence(NEW, 1, sent=True) is None
    assert POLICY.after_silence(NEW, 1, sent=False) == 1.0
    assert POLICY.after_silence(KEYED, 1, sent=True) == 1.0


def test_waits_double_and_end() -> None:
    waits = [POLICY.after_silence(GET, made, sent=True) for made in (1, 2, 3, 4)]
    assert waits == [1.0, 2.0, 4.0, None]
    hurried = RetryPolicy(first=1.0, chance=lambda: 1.0)
    assert hurried.after_silence(GET, 1, sent=True) == 0.5
    assert POLICY.wait(3) == 4.0


def test_a_retry_after_is_kept_to_and_one_that_is_too_long_is_the_callers() -> None:
    assert POLICY.after_response(GET, answer(503, retry_after="5"), 1) == 5.0
    assert POLICY.after_response(GET, answer(503, retry_after="0"), 1) == 1.0
    assert POLICY.after_response(GET, answer(429, retry_after="9"), 1) is None
    soon = datetime.now(UTC) + timedelta(seconds=100)
    told = retry_after(answer(503, retry_after=soon.strftime("%a, %d %b %Y %H:%M:%S GMT")))
    assert told is not None
    assert 90 < told <= 100
    told = retry_after(answer(503, retry_after=soon.strftime("%a %b %d %H:%M:%S %Y")))
    assert told is not None
    assert 90 < told <= 100
    for odd in ("", "soon", "-1", "1.5", "²"):
        assert retry_after(answer(503, retry_after=odd)) is None


def problem(status: int, code: str, **more: Any) -> bytes:
    return msgspec.json.encode(
        {"type": f"/problems/{code}", "title": "T", "status": status, "detail": "D", **more}
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_json", errors.InvalidError),
        (401, "unauthorized", errors.UnauthorizedError),
        (403, "forbidden", errors.ForbiddenError),
        (403, "plan_limit_reached", errors.LimitError),
        (404, "not_found", errors.NotFoundError),
        (409, "account_exists", errors.ConflictError),
        (413, "payload_too_large", errors.InvalidError),
        (422, "unknown_event_type", errors.InvalidError),
        (429, "plan_limit_reached", errors.LimitError),
        (500, "internal", errors.ServerError),
        (503, "unavailable", errors.ServerError),
    ],
)
def test_each_problem_is_an_error_of_its_kind(
    status: int, code: str, kind: type[errors.ProblemError]
) -> None:
    body = problem(status, code, instance="urn:uuid:1", limit=2)
    error = error_of(GET, answer(status, body, retry_after="7"))
    assert type(error) is kind
    assert isinstance(error, errors.ProblemError)
    assert (error.code, error.type, error.status) == (code, f"/problems/{code}", status)
    assert (error.detail, error.instance, error.limit) == ("D", "urn:uuid:1", 2)
    assert error.retry_after == 7.0


def test_an_error_names_each_place_that_is_wrong() -> None:
    faults = [
        {"pointer": "/url", "code": "x", "detail": "not public"},
        {"pointer": "/name", "code": "y", "detail": "D"},
    ]
    error = error_of(GET, answer(422, problem(422, "invalid_body", errors=faults)))
    assert str(error) == "D\n/url: not public"


@pytest.mark.parametrize(
    "got",
    [
        answer(502, b"<html>Bad Gateway</html>"),
        answer(301, b"", location="https://elsewhere.example/"),
        answer(404, b'{"error": "nothing here"}'),
        answer(200, b"<html>hello</html>"),
        answer(200, b'{"other": 1}'),
        answer(200, b"\xff"),
    ],
)
def test_what_no_hooktide_server_answers_is_said_to_be_that(got: Response) -> None:
    with pytest.raises(errors.UnexpectedAnswerError, match="URL"):
        read(call("GET", "/", Needs), got)


class Needs(msgspec.Struct):
    """A model with one member."""

    name: str


def test_names_and_filters_are_quoted_in_a_path() -> None:
    path, query = "/v1/accounts/{account}", {"x": "1&2", "y": None, "z": True}
    asked = call("GET", path, dict[str, Any], query=query, account="a/b?c#ü")
    assert asked.path == "/v1/accounts/a%2Fb%3Fc%23%C3%BC?x=1%262&z=true"
    assert call("GET", path, dict[str, Any], account="..").path.endswith("/%2E%2E")


def test_a_payload_that_is_bytes_stays_as_it_is_and_a_decimal_stays_a_number() -> None:
    exact = b'{"total": 1.10, "e": 1E2, "a": 1, "a": 2}'
    raw = event_body(NewEvent(account="a", type="t", payload=exact, idempotency_key="k"))
    assert raw == b'{"account":"a","type":"t","payload":%b,"idempotency_key":"k"}' % exact
    assert (
        event_body(NewEvent(account="a", type="t", payload=RawJSON(exact), idempotency_key="k"))
        == raw
    )
    made = event_body(NewEvent(account="a", type="t", payload={"total": Decimal("1.10")}))
    assert b'"payload":{"total":1.10}' in made
    for empty in (None, "", False, 0):
        body = event_body(NewEvent(account="a", type="t", payload=empty, idempotency_key="k"))
        assert b'"payload":' in body


def test_a_payload_that_json_has_no_form_for_is_an_error_of_the_client_and_names_the_place() -> (
    None
):
    with pytest.raises(InvalidError) as refused:
        event_body(NewEvent(account="a", type="t", payload={"lines": [{"t": float("nan")}]}))
    assert refused.value.code == "invalid_json"
    assert refused.value.errors[0].pointer == "/payload/lines/0/t"
    assert "/payload/lines/0/t is nan" in str(refused.value)
    assert isinstance(refused.value, ClientError)


def test_each_event_has_an_idempotency_key_of_its_own() -> None:
    one, other = (NewEvent(account="a", type="t", payload={}) for _ in range(2))
    assert one.idempotency_key != other.idempotency_key
    assert len(one.idempotency_key) == 32


def test_an_instant_says_its_offset() -> None:
    local = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert instant(local) == "2026-01-31T10:00:00+00:00"
    assert instant(None) is None
    with pytest.raises(NaiveDatetimeError, match="2026-01-31T12:00:00 has no time zone") as naive:
        instant(datetime(2026, 1, 31, 12))  # noqa: DTZ001
    assert isinstance(naive.value, ClientError)
    assert isinstance(naive.value, ValueError)


def test_many_events_are_divided_by_number_and_by_size() -> None:
    small = NewEvent(account="a", type="t", payload={})
    assert [len(batch) for batch in batches([small] * 2500)] == [1000, 1000, 500]
    large = NewEvent(account="a", type="t", payload="x" * 200_000)
    sizes = [sum(len(body) for _, body in sendable(batch)) for batch in batches([large] * 100)]
    assert len(sizes) == 3
    assert max(sizes) <= MAX_BATCH_BYTES
    assert list(batches([])) == []


def test_the_server_and_the_key_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("URL", "SERVER", "KEY", "OPERATOR_KEY"):
        monkeypatch.delenv(f"HOOKTIDE_{name}", raising=False)
    with pytest.raises(ConfigError, match="HOOKTIDE_KEY"):
        find_server(None, None)
    monkeypatch.setenv("HOOKTIDE_OPERATOR_KEY", "htk_operator")
    assert find_server(None, None).key == "htk_operator"
    assert find_server(None, None).url == "http://127.0.0.1:8080"
    monkeypatch.setenv("HOOKTIDE_SERVER", "https://hooks.example.com/")
    monkeypatch.setenv("HOOKTIDE_KEY", "htk_mine")
    found = find_server(None, None)
    assert (found.url, found.key) == ("https://hooks.example.com", "htk_mine")
    assert "htk_mine" not in repr(found)
    assert find_server(None, None, for_operator=True).key == "htk_operator"
    monkeypatch.delenv("HOOKTIDE_OPERATOR_KEY")
    assert find_server(None, None, for_operator=True).key == "htk_mine"
    assert find_server(None, "htk_given", for_operator=True).key == "htk_given"
    for odd in ("hooks.example.com", "ftp://x", "http://"):
        with pytest.raises(ConfigError, match="is not a server's URL"):
            find_server(odd, "htk_x")
    with pytest.raises(ConfigError, match="printable"):
        find_server(None, "htk_x\n")


REMOVE = command("DELETE", "/v1/accounts/{account}", account="acme")
ERASE = call("DELETE", "/v1/accounts/{account}", dict[str, Any], account="acme")
LOST = None
"""No answer came to a request that was sent."""


@pytest.mark.parametrize("before", [(503,), (502, 429), (429, 504), (LOST,), (LOST, 429)])
def test_what_an_earlier_try_may_have_removed_is_removed(before: tuple[int | None, ...]) -> None:
    assert gone_after(REMOVE, *before).answer() is None


@pytest.mark.parametrize(
    ("request_", "before"),
    [(REMOVE, ()), (REMOVE, (429,)), (REMOVE, (429, 429)), (ERASE, (503,)), (ERASE, (LOST,))],
)
def test_what_no_earlier_try_removed_and_what_has_an_answer_of_its_own_is_not_found(
    request_: Request[Any], before: tuple[int | None, ...]
) -> None:
    with pytest.raises(errors.NotFoundError):
        gone_after(request_, *before).answer()


def test_what_could_not_be_sent_removed_nothing() -> None:
    exchange = Exchange(find_server("http://localhost", "key"), POLICY, REMOVE)
    exchange.unanswered(ConnectionRefusedError(), sent=False)
    exchange.answered(answer(404, problem(404, "not_found")))
    with pytest.raises(errors.NotFoundError):
        exchange.answer()


def gone_after(request: Request[Any], *before: int | None) -> Exchange[Any]:
    """Return an exchange whose last response was 404."""
    exchange = Exchange(find_server("http://localhost", "key"), POLICY, request)
    for status in before:
        if status is None:
            exchange.unanswered(ConnectionResetError(), sent=True)
        else:
            exchange.answered(answer(status))
        assert exchange.wait is not None
    exchange.answered(answer(404, problem(404, "not_found")))
    assert exchange.wait is None
    return exchange
