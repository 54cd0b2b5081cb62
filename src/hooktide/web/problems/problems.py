"""Every error as an RFC 9457 problem; ``problem_table`` says what each kind means.

``type`` is ``/problems/{code}``, which answers with the table's entry; ``instance`` names the one
occurrence. Nothing else ever comes out: no stack, no HTML.
"""

import uuid
from dataclasses import asdict
from typing import Any, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Send

from hooktide.actions.projects import ProjectFileError
from hooktide.domain.errors import (
    InvalidError,
    LimitError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.web.problems.problem_table import PROBLEMS
from hooktide.wire.problems import Fault, Problem

Headers: TypeAlias = list[tuple[bytes, bytes]]

MEDIA_TYPE = "application/problem+json"


def problem_bytes(error: Exception) -> tuple[int, bytes, Headers]:
    """Return status, body and headers of the answer to a request that ended in ``error``."""
    instance = f"urn:uuid:{uuid.uuid4()}"
    problem = msgspec.structs.replace(describe(error), instance=instance)
    return (
        problem.status,
        msgspec.json.encode(problem, enc_hook=str),
        [_CONTENT_TYPE, _NO_STORE, *_more_headers(error)],
    )


_CONTENT_TYPE = (b"content-type", MEDIA_TYPE.encode())
_NO_STORE = (b"cache-control", b"no-store")


def problem_of(error: Exception) -> dict[str, Any]:
    """Return a problem as part of a larger answer, as for one event of a batch."""
    made: dict[str, Any] = msgspec.to_builtins(describe(error), enc_hook=str)
    return made


def describe(error: Exception) -> Problem:
    """Return an error's problem; errors that are not the caller's fault are ``internal``."""
    match error:
        case ProjectFileError():
            return _file(error)
        case InvalidError():
            return _invalid(error)
        case LimitError():
            return _problem(error.code, error.detail, error.status, limit=error.limit)
        case RefusedError():
            return _problem(error.code, error.detail, error.status)
        case NotFoundError():
            return _problem("not_found", f"there is no such {_KINDS.get(error.what, error.what)}")
        case UnavailableError():
            return _problem(error.code, error.detail)
        case HTTPException():
            return _of_status(error.status_code)
        case _:
            return _problem("internal", PROBLEMS["internal"].remedy)


# A malformed id and an unknown id must look the same.
_KINDS = {
    "acc": "account",
    "att": "attempt",
    "dlv": "delivery",
    "ep": "endpoint",
    "evt": "event",
    "prj": "project",
    "rpl": "replay",
    "job": "job",
    "usr": "user",
}


def _problem(
    code: str,
    detail: str,
    status: int | None = None,
    errors: list[Fault] | None = None,
    limit: int | None = None,
) -> Problem:
    known = PROBLEMS[code]
    return Problem(
        type=f"/problems/{code}",
        title=known.title,
        status=known.status if status is None else status,
        detail=detail,
        errors=errors or [],
        limit=limit,
    )


def _invalid(error: InvalidError) -> Problem:
    # A code that is not in the table is a rule of some field: its place and name are in errors.
    code = error.code if error.code in PROBLEMS else "invalid_body"
    errors = [Fault(fault.code, fault.detail, fault.pointer) for fault in error.faults]
    return _problem(code, error.detail, error.status, errors)


def _file(error: ProjectFileError) -> Problem:
    faults = [Fault(error.code, each.reason, line=each.line, key=each.key) for each in error.errors]
    return _problem(error.code, error.detail, errors=faults)


def _of_status(status: int) -> Problem:
    code = _CODES.get(status, "bad_request")
    return _problem(code, PROBLEMS[code].remedy, status)


_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def _more_headers(error: Exception) -> Headers:
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        return [(b"retry-after", b"%d" % retry_after)]
    if getattr(error, "status", None) == 401:
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, HTTPException) and error.headers:
        return [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
    return []


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send an answer whose body is all here."""
    length = (b"content-length", b"%d" % len(body))
    start = {"type": "http.response.start", "status": status, "headers": [*headers, length]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def problem_response(request: Request, error: Exception) -> Response:
    """Answer a request with the problem that ``error`` is."""
    status, body, headers = problem_bytes(error)
    response = Response(body, status)
    response.raw_headers.extend(headers)
    return response


async def _explain(request: Request) -> Response:
    code = request.path_params["code"]
    if code not in PROBLEMS:
        raise NotFoundError("problem")
    body = {"type": f"/problems/{code}", **asdict(PROBLEMS[code])}
    return Response(msgspec.json.encode(body), media_type="application/json")


explain_route = Route("/problems/{code}", _explain)
"""``GET /problems/{code}``: what a problem's ``type`` leads to."""
